/** A message that was caught, as the JSON it was sent as. */

import type { AddressObject, Attachment, ParsedMail } from "mailparser";
import { readMailbox, writeMailbox } from "./address.ts";
import type { Message } from "./backend.ts";
import { isOwnHeader } from "./headers.ts";
import type { CaughtJson } from "./schemas.ts";

const FOLD = /\r?\n(?=[ \t])/g;
/** The HTML as it was sent: not shown, and no links or images put into it. */
const OPTIONS = { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, keepCidLinks: true };

/**
 * One that cannot be read, as a header is larger than the parser takes, comes with what its envelope tells.
 * @param withContent Of the attachments, in base64.
 */
export async function parse(message: Message, withContent: boolean): Promise<CaughtJson> {
  const { simpleParser } = await import("mailparser");
  const mail = await simpleParser(message.raw, OPTIONS).catch(() => undefined); // it throws for such a one alone
  return mail === undefined ? unread(message) : read(message, mail, withContent);
}

function unread({ id, sender, recipients, raw }: Message): CaughtJson {
  return {
    id,
    date: new Date(0).toISOString(),
    from: sender,
    to: [...recipients],
    cc: [],
    bcc: [],
    subject: "",
    headers: {},
    attachments: [],
    size: raw.length,
  };
}

async function read({ id, recipients, raw }: Message, mail: ParsedMail, withContent: boolean): Promise<CaughtJson> {
  const [to, cc] = [mailboxes(mail.to), mailboxes(mail.cc)];
  const named = new Set([...to, ...cc].map(({ address }) => address));
  return {
    id,
    date: (mail.date ?? new Date(0)).toISOString(),
    from: mailboxes(mail.from).map(writeMailbox).join(", "),
    to: to.map(writeMailbox),
    cc: cc.map(writeMailbox),
    bcc: recipients.filter((address) => !named.has(address)),
    ...optional("reply_to", mailboxes(mail.replyTo).map(writeMailbox)[0]),
    subject: mail.subject ?? "",
    ...optional("text", mail.text),
    ...optional("html", mail.html === false ? undefined : mail.html),
    headers: await headers(mail),
    attachments: mail.attachments.map((attachment) => attachmentJson(attachment, withContent)),
    size: raw.length,
  };
}

interface Named {
  readonly name: string;
  readonly address: string;
}

/** As they travelled; the parser shows an international domain in Unicode. */
function mailboxes(field: AddressObject | AddressObject[] | undefined): Named[] {
  return [field ?? []].flat().flatMap(({ value }) =>
    value.flatMap(({ name, address = "" }) => {
      const read = readMailbox(address);
      return typeof read === "string" ? [] : [{ name, address: read.address }];
    }),
  );
}

async function headers({ headerLines }: ParsedMail): Promise<Record<string, string>> {
  const { default: libmime } = await import("libmime");
  const own = headerLines.filter(({ key }) => !isOwnHeader(key));
  return Object.fromEntries(
    own.map(({ line }) => {
      const colon = line.indexOf(":");
      return [
        line.slice(0, colon),
        libmime.decodeWords(
          line
            .slice(colon + 1)
            .replaceAll(FOLD, "")
            .trim(),
        ),
      ];
    }),
  );
}

function attachmentJson({ filename, contentType, size, cid, content }: Attachment, withContent: boolean) {
  return {
    ...optional("filename", filename),
    content_type: contentType,
    size,
    ...optional("cid", cid),
    ...(withContent ? { content: content.toString("base64") } : {}),
  };
}

function optional<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, string>); // a computed key widens to any string
}
