/** The bytes of an email: RFC 5322 and MIME, made by nodemailer, the same for every backend. */

import { randomUUID } from "node:crypto";
import { domainToASCII } from "node:url";
import type { Email, Mailbox, Message } from "./backend.ts";
import { hasLongWord } from "./headers.ts";

/** Text that would not arrive as it is: read as an encoded word, stripped, or in a line longer than 998 bytes. */
const MISREAD = /=\?|^\s|\s$|\s{70}/;
const WORD_LENGTH = 52; // of an encoded word, as nodemailer has it
const LINE_END = /\r\n?|\n/g;

/** With a new id, and the date of now. */
export async function compose(email: Email): Promise<Message> {
  const [{ default: MailComposer }, { encodeWord }] = await Promise.all([
    import("nodemailer/lib/mail-composer"),
    import("nodemailer/lib/mime-funcs"),
  ]);
  const id = `${randomUUID()}@${domainToASCII(email.from.address.slice(email.from.address.lastIndexOf("@") + 1))}`;
  const unstructured = (value: string): string =>
    MISREAD.test(value) || hasLongWord(value) ? encodeWord(value, "Q", WORD_LENGTH) : value; // the composer encodes what is beyond ASCII
  const { from, to, cc, bcc, replyTo, subject, text, html } = email;
  const spelled = new Map(email.headers.map(([name]) => [name.toLowerCase(), name]));
  const raw = await new MailComposer({
    disableFileAccess: true,
    disableUrlAccess: true,
    messageId: `<${id}>`,
    date: new Date(),
    from: copy(from),
    to: to.map(copy),
    cc: cc.map(copy),
    ...(replyTo === undefined ? {} : { replyTo: copy(replyTo) }),
    headers: [
      ...(subject === "" ? [] : [{ key: "Subject", value: unstructured(subject) }]),
      ...email.headers.map(([key, value]) => ({ key, value: unstructured(value.trim()) })),
    ],
    normalizeHeaderKey: (key) => spelled.get(key.toLowerCase()) ?? key,
    ...(text === undefined ? {} : { text: text.replaceAll(LINE_END, "\r\n") }),
    ...(html === undefined ? {} : { html: html.replaceAll(LINE_END, "\r\n") }),
    attachments: email.attachments.map(({ filename, contentType, content, cid }) => ({
      filename,
      content,
      ...(contentType === undefined ? {} : { contentType }),
      ...(cid === undefined ? {} : { cid }),
    })),
  })
    .compile()
    .build();
  const recipients = [...new Set([...to, ...cc, ...bcc].map(({ address }) => address))];
  return { id, sender: from.address, recipients, raw };
}

/** The composer rewrites what it is given. */
function copy({ name, address }: Mailbox): { name: string; address: string } {
  return { name, address };
}
