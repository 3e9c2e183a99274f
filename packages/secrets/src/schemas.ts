/** The JSON of the secrets routes, in and out, and their query parameters. */

import { z } from "@mikcar/core/zod";
import { nameFault } from "./name.ts";

/** The least that all backends take: AWS and GCP hold 64 KiB. */
const MAX_VALUE_BYTES = 65_536;
const MAX_PAGE = 1000;
const MAX_LABELS = 50; // as AWS
const LABEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
const LABEL_VALUE = /^[^\p{Cc}\p{Cs}]{1,128}$/u;

const value = z
  .string()
  .refine((text) => text.isWellFormed(), "expected text of whole characters")
  .refine((text) => text !== "" && Buffer.byteLength(text) <= MAX_VALUE_BYTES, `expected 1 to ${MAX_VALUE_BYTES} bytes`)
  .meta({ description: `Text of 1 to ${MAX_VALUE_BYTES} bytes.` });

const labelRecord = z
  .record(
    z
      .string()
      .regex(LABEL_NAME, "expected 1 to 63 letters, digits, '.', '_', '-', '/', beginning with a letter or digit"),
    z.string().regex(LABEL_VALUE, "expected 1 to 128 characters, none of them a control character"),
  )
  .refine((labels) => Object.keys(labels).length <= MAX_LABELS, `expected at most ${MAX_LABELS} labels`)
  .meta({ description: "Small facts about the secret; they are not secret." });
/** A record would lose a label of this name. */
export const labelsSchema = z.preprocess((value, { addIssue }) => {
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"))
    addIssue("__proto__ is no label");
  return value;
}, labelRecord);

export const createBody = z.object({ value, labels: labelsSchema.optional() });
export const updateBody = z.object({
  value,
  labels: labelsSchema.optional().meta({ description: "Instead of those it has; absent: they stay." }),
});

export const readQuery = z.object({
  version: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, "expected a version as /versions tells it")
    .optional()
    .meta({ description: "As /versions tells it; absent: the newest." }),
});
export const listQuery = z.object({
  limit: z
    .string()
    .regex(/^\d{1,4}$/, "expected a number")
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `expected 1 to ${MAX_PAGE}`)
    .optional()
    .meta({ description: `Secrets per page, 1 to ${MAX_PAGE}; absent: all of them.` }),
  cursor: z
    .string()
    .refine((cursor) => nameFault(cursor) === undefined, "expected the cursor of the page before")
    .optional()
    .meta({ description: "Of the page before; it works with and without limit." }),
});

const time = z.iso.datetime();
export const entry = z.object({ name: z.string(), version: z.string(), created_at: time, updated_at: time });
export const secret = z.object({
  value: z.string(),
  version: z.string(),
  created_at: time,
  updated_at: time,
  labels: z.record(z.string(), z.string()).nullable(),
});
export const page = z.object({
  secrets: z.array(entry),
  count: z.int(),
  prefix: z.string(),
  cursor: z.string().nullable().optional(),
});
export const written = (status: "created" | "updated" | "deleted"): z.ZodObject =>
  z.object({ status: z.literal(status), name: z.string() });
export const existence = z.object({ exists: z.boolean(), name: z.string() });
export const history = z.object({
  name: z.string(),
  versions: z.array(z.object({ version: z.string(), created_at: time })),
});
