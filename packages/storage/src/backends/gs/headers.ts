/**
 * Headers of an object as Google keeps them: up to 8 KiB of metadata, names and values together. It keeps any UTF-8, but
 * a read tells of it in headers, so other values than ASCII travel as RFC 2047 has it, as in `s3:`.
 * https://cloud.google.com/storage/docs/metadata#custom-metadata
 */

import { badRequest } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import { decodeAll, encode, PLAIN } from "../cloud/words.ts";

type Metadata = ObjectHeaders["metadata"];

const MAX_BYTES = 8192;
const NAME = /^[!#$%&'*+.^_`|~\da-z-]+$/;
const CONTROL = /[\u0000-\u001f\u007f]/g; // oxlint-disable-line no-control-regex
/** What a read says of an object that has no Cache-Control of its own. */
const DEFAULTS = new Set([
  "no-cache, no-store, max-age=0, must-revalidate",
  "private, max-age=0",
  "private, max-age=0, must-revalidate, no-transform",
  "public, max-age=3600",
]);

/** As the JSON API takes them. @throws BAD_REQUEST for those that Google does not keep. */
export function toWire({ contentType, cacheControl, metadata }: ObjectHeaders): object {
  if (!PLAIN.test(contentType)) throw badRequest("the Content-Type holds more than ASCII; a read could not tell it");
  if (!PLAIN.test(cacheControl ?? "")) throw badRequest("the Cache-Control holds more than ASCII");
  const entries = Object.entries(metadata).map(([name, value]) => [name, encode(value)] as const);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes > MAX_BYTES) {
    throw badRequest(`the X-Meta-* headers take ${bytes} bytes, encoded for Google; it keeps ${MAX_BYTES}`);
  }
  return {
    contentType,
    ...(cacheControl === undefined ? {} : { cacheControl: distinct(cacheControl) }),
    ...(entries.length === 0 ? {} : { metadata: Object.fromEntries(entries) }),
  };
}

/** Of the JSON API, where names and values may be any text. Those that no header can tell are left out, or changed. */
export function metadataOf(stored: Metadata): Metadata {
  const entries = Object.entries(stored).map(([name, value]) => [
    name.toLowerCase(),
    Buffer.from(value).toString("latin1").replaceAll(CONTROL, " ").trim(),
  ]);
  return decodeAll(Object.fromEntries(entries.filter(([name = ""]) => NAME.test(name))));
}

/** `x-goog-meta-*` of an answer, one character per byte. */
export function metadataOfHeaders(headers: NodeJS.Dict<string | readonly string[]>): Metadata {
  const entries = Object.entries(headers)
    .filter(([name]) => name.startsWith("x-goog-meta-"))
    .map(([name, value]) => [name.slice("x-goog-meta-".length), String(value)]);
  return decodeAll(Object.fromEntries(entries));
}

/** @param isHeader Of an answer to a read, which has one always. */
export function cacheControlOf(stored = "", isHeader = false): { readonly cacheControl?: string } {
  if (stored === "" || (isHeader && DEFAULTS.has(stored))) return {};
  return { cacheControl: stored.replace(/,$/, "") };
}

/** Another spelling, of the same meaning, for what a read could not tell from its default. */
function distinct(cacheControl: string): string {
  return DEFAULTS.has(cacheControl) || cacheControl.endsWith(",") ? `${cacheControl},` : cacheControl;
}
