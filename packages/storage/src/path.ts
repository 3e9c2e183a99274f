/** Which texts are object paths. */

import { badRequest } from "@mikcar/core";

const MAX_BYTES = 1024;
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\\]/; // oxlint-disable-line no-control-regex

/** What is wrong with a path, as the end of a sentence that begins with it; undefined when nothing is. */
export function pathFault(path: string): string | undefined {
  if (path === "") return "is empty; it needs 1 to 1024 bytes";
  if (!path.isWellFormed()) return "has half a surrogate pair, which no UTF-8 can carry";
  if (Buffer.byteLength(path) > MAX_BYTES) return `is longer than ${MAX_BYTES} bytes of UTF-8`;
  if (FORBIDDEN.test(path)) return "has a backslash or a control character";
  for (const segment of path.split("/")) {
    if (segment === "") return "has an empty segment: no slash at either end, and no two in a row";
    if (segment === "." || segment === "..") return `has a "${segment}" segment`;
  }
  return undefined;
}

/** @returns `path` itself. @param what How the sentence names it: `path`, `from`. @throws BAD_REQUEST */
export function checkPath(path: string, what = "path"): string {
  const fault = pathFault(path);
  if (fault !== undefined) throw badRequest(`the ${what} ${fault}`);
  return path;
}

/** As a path, but it may be empty, and one slash at its end is dropped. @throws BAD_REQUEST */
export function checkPrefix(text: string): string {
  const prefix = text.endsWith("/") ? text.slice(0, -1) : text;
  return text === "" ? "" : checkPath(prefix, "prefix");
}
