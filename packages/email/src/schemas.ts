/** The JSON of the email routes, in and out, and their query parameters. */

import { z } from "@mikcar/core/zod";

export const MAX_BATCH = 100;
const MAX_RECIPIENTS = 1000; // of each kind
const MAX_ATTACHMENTS = 100;
const MAX_HEADERS = 100;
/** Of text and of HTML: they are encoded in one go, while other calls wait. */
const MAX_TEXT = 1_048_576;
const MAX_PAGE = 200;

const ADDRESS = "ada@example.org, or Ada <ada@example.org>";

const text = z
  .string()
  .refine((value) => value.isWellFormed(), "expected text of whole characters; this one has half of a surrogate pair");
const content = text.refine(
  ({ length }) => length <= MAX_TEXT,
  `expected at most ${MAX_TEXT} characters; attach the rest`,
);
const address = text.meta({ description: ADDRESS });
const recipients = z.array(address).max(MAX_RECIPIENTS);
/** The bytes. Buffer skips what is no base64, so what it has read is compared with what was there. */
const base64 = z
  .string()
  .refine((value) => {
    const body = value.replace(/={1,2}$/, "");
    return Buffer.from(body, "base64").toString("base64").replace(/=+$/, "") === body;
  }, "expected base64")
  .meta({ contentEncoding: "base64" });

const attachment = z.object({
  filename: text,
  content_type: text.nullish().meta({ description: "Absent: what the ending of the file name tells." }),
  content: base64,
  cid: text.nullish().meta({ description: 'For images that the HTML shows: <img src="cid:logo">.' }),
});

/** A record alone would lose a field of the name `__proto__` without a word. */
const headers = z
  .preprocess(
    (value, context) => {
      if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"))
        context.addIssue("__proto__ is no header");
      return value;
    },
    z
      .record(z.string(), text)
      .refine((fields) => Object.keys(fields).length <= MAX_HEADERS, `expected at most ${MAX_HEADERS} headers`)
      .nullable(),
  )
  .optional()
  .meta({
    description: "Header fields beside those that are set anyway.",
  });

export const emailBody = z.object({
  from: address,
  to: recipients.meta({ description: "May be empty when cc or bcc has someone." }),
  cc: recipients.nullish(),
  bcc: recipients.nullish().meta({ description: "Get the message, which says nothing of them." }),
  subject: text,
  text: content.nullish(),
  html: content.nullish(),
  reply_to: address.nullish(),
  headers,
  attachments: z.array(attachment).max(MAX_ATTACHMENTS).nullish(),
});
export type EmailBody = z.infer<typeof emailBody>;

/** An email that is of no such shape fails alone. */
export const batchBody = z.object({ emails: z.array(z.unknown()).min(1).max(MAX_BATCH) });
/** For the documentation. */
export const batchSpec = z.object({ emails: z.array(emailBody).min(1).max(MAX_BATCH) });

export const outboxQuery = z.object({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, "expected a number")
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `expected 1 to ${MAX_PAGE}`)
    .optional()
    .meta({ description: `Emails of a page, 1 to ${MAX_PAGE}; absent: 50.` }),
  cursor: z.string().optional().meta({ description: "Of the page before." }),
});

const rejected = z.array(z.object({ address: z.string(), smtp_code: z.int() })).optional();
export const sent = z.object({
  id: z.string(),
  success: z.literal(true),
  rejected: rejected.meta({ description: "Those whom the server has refused while it took the message for others." }),
});
export const notSent = z.object({
  success: z.literal(false),
  error: z.string(),
  code: z.string(),
  status: z.int(),
  smtp_code: z.int().optional().meta({ description: "What the mail server has replied." }),
  rejected,
});
export const batchSent = z.object({
  sent: z.int(),
  failed: z.int(),
  results: z.array(z.union([sent, notSent.extend({ details: z.unknown().optional() })])),
});

const caughtAttachment = z.object({
  filename: z.string().optional(),
  content_type: z.string(),
  size: z.int(),
  cid: z.string().optional(),
});
const caught = z.object({
  id: z.string(),
  date: z.iso.datetime(),
  from: z.string(),
  to: z.array(z.string()),
  cc: z.array(z.string()),
  bcc: z.array(z.string()).meta({ description: "Recipients of whom the message does not speak." }),
  reply_to: z.string().optional(),
  subject: z.string(),
  text: z.string().optional(),
  html: z.string().optional(),
  headers: z.record(z.string(), z.string()),
  attachments: z.array(caughtAttachment),
  size: z.int().meta({ description: "Bytes of the whole message." }),
});
export type CaughtJson = z.infer<typeof caught>;
export const outboxPage = z.object({ emails: z.array(caught), cursor: z.string().nullable() });
export const outboxEmail = caught.extend({
  attachments: z.array(caughtAttachment.extend({ content: z.string().meta({ contentEncoding: "base64" }) })),
});
export const cleared = z.object({ status: z.literal("ok"), deleted: z.int() });
