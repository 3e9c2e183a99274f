/** Header values in the ASCII that every store keeps, of RFC 2047 where they are more: what S3 itself answers. */

import { isUtf8 } from "node:buffer";
import type { ObjectHeaders } from "../../backend.ts";

type Metadata = ObjectHeaders["metadata"];

export const PLAIN: RegExp = /^[\x20-\x7e]*$/;
const WORD = /=\?(?:utf-8|iso-8859-1|us-ascii)\?([bq])\?([^?]*)\?=/gi;
const WORDS = /^=\?[a-z0-9-]+\?[bq]\?[^?]*\?=(?:\s+=\?[a-z0-9-]+\?[bq]\?[^?]*\?=)*$/i;

/** @param value One character per byte, as Node gives header values. */
export function encode(value: string): string {
  if (PLAIN.test(value) && !value.startsWith("=?")) return value;
  const bytes = Buffer.from(value, "latin1");
  return `=?${isUtf8(bytes) ? "UTF-8" : "ISO-8859-1"}?B?${bytes.toString("base64")}?=`;
}

/** What `encode` was given; text that nobody encoded stays. */
export function decode(value: string): string {
  if (!WORDS.test(value)) return value;
  return value.replaceAll(/\?=\s+=\?/g, "?==?").replaceAll(WORD, (_word, kind: string, text: string) => {
    if (kind.toUpperCase() === "B") return Buffer.from(text, "base64").toString("latin1");
    return text
      .replaceAll("_", " ")
      .replaceAll(/=([\da-f]{2})/gi, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  });
}

/** Metadata whose values may be encoded. */
export function decodeAll(metadata: Metadata): Metadata {
  let isPlain = true;
  for (const name in metadata) if (metadata[name]?.startsWith("=?")) isPlain = false;
  if (isPlain) return metadata;
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, decode(value)]));
}
