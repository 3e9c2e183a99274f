/** Headers of HTTP that clouds take and send. */

import type { RangeSpec, Slice } from "../../backend.ts";
import { foreign } from "./foreign.ts";

export function rangeHeader(range: RangeSpec): string {
  return "suffix" in range ? `bytes=-${range.suffix}` : `bytes=${range.first}-${range.last ?? ""}`;
}

/** @param contentRange `bytes 0-99/1000`, or undefined for a whole object of `length` bytes. */
export function sliceOf(
  contentRange: string | undefined,
  length: number,
): { readonly slice: Slice; readonly size: number } {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? "") ?? [];
  if (first === undefined) return { slice: { start: 0, end: length }, size: length };
  return { slice: { start: Number(first), end: Number(last) + 1 }, size: Number(size) };
}

/** The length of an answer, without which nobody can tell all of it from a part. @throws BAD_GATEWAY when it has none. */
export function lengthOf(text: string | number | undefined): number {
  const length = text === undefined || text === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(length)) return length;
  throw foreign("the answer has no Content-Length");
}

/** `"abc"`: `abc`. */
export function bareTag(quoted: string | undefined): string {
  return (quoted ?? "").replaceAll('"', "");
}

/** The entity tag of an answer, without its quotes: every store tells it of every object. @throws BAD_GATEWAY without one. */
export function tagOf(quoted: string | readonly string[] | undefined): string {
  const tag = bareTag(String(quoted ?? ""));
  if (tag !== "") return tag;
  throw foreign("the answer has no entity tag");
}
