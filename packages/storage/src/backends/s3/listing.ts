/** Pages of the seam over pages of the protocol. */

import { compareUtf8 } from "@mikcar/core";
import type { ListedObject, ListQuery, Page } from "../../backend.ts";
import { pathFault } from "../../path.ts";
import type { Bucket, Listed } from "./bucket.ts";

const PAGE = 1000; // the most there is
const MAX_KEY_BYTES = 1024;
/** Some servers refuse such characters and segments, which no path has. Behind them: what comes just before them. */
const BAD_CHARACTER = /[\u0000-\u001f\u007f-\u009f\\]/; // oxlint-disable-line no-control-regex
const LAST = "\u{10ffff}";
const BEFORE_SEGMENT: Readonly<Record<string, string>> = { "": `.${LAST}`, ".": `-${LAST}`, "..": `.-${LAST}` };
const NOTHING: Page = { objects: [], prefixes: [], next: undefined };

/** @param base What all keys begin with: empty, or with a slash at its end. */
export async function listPage(bucket: Bucket, base: string, query: ListQuery): Promise<Page> {
  const prefix = base + (query.prefix === "" ? "" : `${query.prefix}/`);
  const after = query.after === undefined || query.after === "" ? "" : base + query.after.toWellFormed();
  if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) return NOTHING;
  const isInside = after.startsWith(prefix);
  if (!isInside && compareUtf8(after, prefix) > 0) return NOTHING; // all keys come before it
  const isFolder = query.delimiter !== undefined && after.endsWith("/");
  const startAfter = isInside ? sendable(isFolder ? after + LAST : after) : "";
  const isWanted = (key: string): boolean => after === "" || compareUtf8(key, after) > 0;
  const objects: ListedObject[] = [];
  const prefixes: string[] = [];
  let token: string | undefined;
  let isMore = true;
  while (isMore && objects.length + prefixes.length < query.limit) {
    const limit = Math.min(PAGE, query.limit - objects.length - prefixes.length);
    const listed: Listed = await bucket.list({ prefix, startAfter, token, delimiter: query.delimiter, limit });
    for (const { key, ...rest } of listed.objects) {
      const path = key.slice(base.length);
      if (isWanted(key) && pathFault(path) === undefined) objects.push({ path, ...rest });
    }
    for (const folder of listed.prefixes) {
      const path = folder.slice(base.length);
      const isDone = (isFolder && folder === after) || !(isWanted(folder) || after.startsWith(folder));
      if (!isDone && pathFault(path.slice(0, -1)) === undefined) prefixes.push(path);
    }
    token = listed.next;
    isMore = token !== undefined;
  }
  return { objects, prefixes, next: isMore ? lastOf(objects.at(-1)?.path, prefixes.at(-1)) : undefined };
}

/** What to begin after instead, where `after` cannot travel. */
function sendable(after: string): string {
  const segments = withoutBadCharacter(after).split("/");
  const last = segments.length - 1;
  const bad = segments.findIndex((each, at) => Object.hasOwn(BEFORE_SEGMENT, each) && (each !== "" || at < last));
  const start = bad === -1 ? segments : [...segments.slice(0, bad), BEFORE_SEGMENT[segments[bad] as string]];
  const text = start.join("/");
  if (Buffer.byteLength(text) <= MAX_KEY_BYTES) return text;
  return Buffer.from(text)
    .subarray(0, MAX_KEY_BYTES)
    .toString()
    .replace(/\ufffd+$/, ""); // half a character
}

function withoutBadCharacter(text: string): string {
  const bad = BAD_CHARACTER.exec(text);
  if (bad === null) return text;
  const before = text.slice(0, bad.index);
  if (bad[0] === "\\") return `${before}[${LAST}`;
  return bad[0] < " " ? before : `${before}~${LAST}`;
}

function lastOf(object = "", prefix = ""): string {
  return compareUtf8(object, prefix) > 0 ? object : prefix;
}
