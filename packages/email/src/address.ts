/** E-mail addresses as callers write them: `ada@example.org`, `Ada <ada@example.org>`, `"Ada, Countess" <ada@example.org>`. */

import { domainToASCII, domainToUnicode } from "node:url";
import type { Mailbox } from "./backend.ts";

const CONTROL = /\p{Cc}/u;
const QUOTED_NAME = /^"((?:[^"\\]|\\.)*)"$/;
/** What ends a name, or begins another mailbox, when it stands outside quotes: RFC 5322, 3.4. */
const NAME_SPECIAL = /[<>",;:\\]/;
/** RFC 5321, 4.1.2, without the quoted form, which it advises against; and RFC 6531, 3.3, for what is beyond ASCII. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~\u{80}-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u{80}-\u{10ffff}-]+)*$/u;
const SPACE = /\s/;
const LABELS = /^(?!-)[a-z\d-]{1,63}(?<!-)(?:\.(?!-)[a-z\d-]{1,63}(?<!-))*$/i;
const ASCII = /^[\0-\x7f]*$/;
const ENCODED_WORD = "=?"; // which receivers decode, inside quotes too: RFC 2047, 5, says not to
const MAX_LENGTH = 1000;
const MAX_LOCAL_BYTES = 64;
const MAX_DOMAIN_BYTES = 253;

/** The mailbox, or a string that says what is wrong with it. */
export function readMailbox(text: string): Mailbox | string {
  if (text.length > MAX_LENGTH) return `an address has at most ${MAX_LENGTH} characters, its name among them`;
  if (CONTROL.test(text)) return "an address has no control characters, line breaks among them";
  if (text.includes(ENCODED_WORD)) return `it holds ${ENCODED_WORD}, which mail programs take for an encoded word`;
  const trimmed = text.trim();
  if (trimmed === "") return "an address is missing";
  const open = trimmed.lastIndexOf("<");
  if (open === -1 || trimmed.indexOf(">", open) !== trimmed.length - 1) return withAddress("", trimmed);
  const [label, address] = [trimmed.slice(0, open).trimEnd(), trimmed.slice(open + 1, -1)];
  const quoted = QUOTED_NAME.exec(label)?.[1];
  const name = (quoted === undefined ? label : quoted.replaceAll(/\\(.)/g, "$1")).trim();
  if (quoted === undefined && NAME_SPECIAL.test(name))
    return 'one address only; a name with any of < > , ; : " \\ stands in double quotes';
  return withAddress(name, address);
}

/** As `readMailbox` takes it. */
export function writeMailbox({ name, address }: Mailbox): string {
  return name === "" ? address : `"${name.replaceAll(/["\\]/g, "\\$&")}" <${address}>`;
}

function withAddress(name: string, text: string): Mailbox | string {
  const at = text.lastIndexOf("@");
  if (at === -1) return "an address has the form name@domain";
  const local = text.slice(0, at);
  const domain = readDomain(text.slice(at + 1), !ASCII.test(local));
  if (Buffer.byteLength(local) > MAX_LOCAL_BYTES) return `the part before @ has at most ${MAX_LOCAL_BYTES} bytes`;
  if (!DOT_ATOM.test(local) || SPACE.test(local))
    return "the part before @ cannot be one; an address has the form name@domain";
  if (domain === undefined) return "the domain cannot be one; an address has the form name@domain";
  return { name, address: `${local}@${domain}` };
}

/**
 * As it travels: in ASCII, unless the part before it needs SMTPUTF8 anyway, whose domain is in Unicode too. Undefined when
 * it is none.
 */
function readDomain(text: string, isInternational: boolean): string | undefined {
  const ascii = ASCII.test(text) ? text : domainToASCII(text);
  if (ascii.length > MAX_DOMAIN_BYTES || !LABELS.test(ascii) || /^[\d.]+$/.test(ascii)) return undefined;
  return isInternational ? domainToUnicode(ascii) : ascii;
}
