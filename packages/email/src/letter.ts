/** From the JSON of an email to one that may be composed. */

import { badRequest } from "@mikcar/core";
import { readMailbox } from "./address.ts";
import type { Attachment, Email, Mailbox } from "./backend.ts";
import { headerFault } from "./headers.ts";
import type { EmailBody } from "./schemas.ts";

interface Fault {
  readonly field: string;
  readonly message: string;
}

const CONTROL = /\p{Cc}/u;
const NOBODY = "there is no recipient; name at least one in to, cc or bcc";
const MAX_SUBJECT = 2000;
const MAX_FILENAME = 255;
const MAX_TYPE = 255;
const CONTENT_TYPE = /^[\w.+-]+\/[\w.+-]+(?:; *[\w.-]+=(?:[\w.+:/-]+|"[ !#-[\]-~]*"))*$/;
/** Parts with an order of their own, which would make more of an attachment than a file. */
const COMPOUND = /^(?:multipart|message)\//i;
const CID = /^[!-;=?-~]{1,200}$/;

/** @throws BAD_REQUEST with `details: [{field, message}]` for addresses that are none, and for all that could inject a header. */
export function readEmail(body: EmailBody): Email {
  const faults: Fault[] = [];
  const mailbox = (field: string, text: string): Mailbox => {
    const read = readMailbox(text);
    if (typeof read !== "string") return read;
    faults.push({ field, message: read });
    return { name: "", address: "" };
  };
  const mailboxes = (field: "to" | "cc" | "bcc"): readonly Mailbox[] =>
    (body[field] ?? []).map((text, index) => mailbox(`${field}.${index}`, text));

  const email: Email = {
    from: mailbox("from", body.from),
    to: mailboxes("to"),
    cc: mailboxes("cc"),
    bcc: mailboxes("bcc"),
    replyTo: body.reply_to == null ? undefined : mailbox("reply_to", body.reply_to),
    subject: body.subject,
    text: body.text ?? undefined,
    html: body.html ?? undefined,
    headers: Object.entries(body.headers ?? {}),
    attachments: (body.attachments ?? []).map(({ filename, content_type, content, cid }) => ({
      filename,
      contentType: content_type ?? undefined,
      content: Buffer.from(content, "base64"),
      cid: cid ?? undefined,
    })),
  };
  faults.push(...otherFaults(email));
  if (faults.length > 0) throw refusal(faults);
  return email;
}

/** Of all but the addresses. */
function otherFaults({ to, cc, bcc, subject, headers, attachments }: Email): Fault[] {
  const found: (readonly [field: string, message: string | undefined])[] = [
    ["to", to.length + cc.length + bcc.length === 0 ? NOBODY : undefined],
    ["subject", subjectFault(subject)],
    ...headers.map(([name, value]) => [`headers.${name}`, headerFault(name, value)] as const),
    ["headers", twiceFault(headers)],
    ...attachments.flatMap((attachment, index) =>
      attachmentFaults(attachment).map(([field, message]) => [`attachments.${index}.${field}`, message] as const),
    ),
  ];
  return found.flatMap(([field, message]) => (message === undefined ? [] : [{ field, message }]));
}

function subjectFault(subject: string): string | undefined {
  if (CONTROL.test(subject)) return "a subject has no control characters, line breaks among them";
  return subject.length > MAX_SUBJECT ? `a subject has at most ${MAX_SUBJECT} characters` : undefined;
}

function twiceFault(headers: Email["headers"]): string | undefined {
  const names = headers.map(([name]) => name.toLowerCase());
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  return twice === undefined ? undefined : `the header ${twice} is there twice`;
}

function attachmentFaults({ filename, contentType, cid }: Attachment): [field: string, message: string][] {
  const faults: [string, string][] = [];
  if (filename === "" || filename.length > MAX_FILENAME || CONTROL.test(filename))
    faults.push(["filename", `a file name has 1 to ${MAX_FILENAME} characters, and none that control`]);
  if (contentType !== undefined && (contentType.length > MAX_TYPE || !CONTENT_TYPE.test(contentType)))
    faults.push(["content_type", "expected a media type, such as text/plain; charset=utf-8"]);
  if (contentType !== undefined && COMPOUND.test(contentType))
    faults.push(["content_type", "a whole message is attached as application/octet-stream, with a name in .eml"]);
  if (cid !== undefined && !CID.test(cid))
    faults.push(["cid", "a content id has 1 to 200 printable ASCII characters without spaces, < and >"]);
  return faults;
}

function refusal(faults: readonly Fault[]): Error {
  const sentence = faults
    .slice(0, 3)
    .map(({ field, message }) => `${field}: ${message}`)
    .join("; ");
  return badRequest(sentence, { details: faults });
}
