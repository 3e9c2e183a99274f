/** Pages of the seam over pages of the protocol. */

import { compareUtf8 } from "@mikcar/core";
import type { ListedObject, ListQuery, Page } from "../../backend.ts";
import { pathFault } from "../../path.ts";
import type { Bucket, Listed } from "./bucket.ts";

const PAGE = 1000; // the most there is
const MAX_KEY_BYTES = 1024;
const UNSENT = /[\u0000-\u001f\u007f-\u009f\\]/; // oxlint-disable-line no-control-regex
/** Some servers refuse such segments, which no path has. This is what comes just before all that follows them. */
const JUST_BEFORE: Readonly<Record<string, string>> = { "": ".\u{10ffff}", ".": "-\u{10ffff}", "..": ".-\u{10ffff}" };
const NOTHING: Page = { objects: [], prefixes: [], next: undefined };

/** @param base What all keys begin with: empty, or with a slash at its end. */
export async function listPage(bucket: Bucket, base: string, query: ListQuery): Promise<Page> {
  const prefix = base + (query.prefix === "" ? "" : `${query.prefix}/`);
  const after = query.after === undefined ? "" : base + query.after.toWellFormed();
  if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) return NOTHING;
  const isInside = after.startsWith(prefix);
  if (!isInside && compareUtf8(after, prefix) > 0) return NOTHING; // all keys come before it
  const isFolder = query.delimiter !== undefined && after.endsWith("/");
  const startAfter = isInside ? sendable(isFolder ? `${after}\u{10ffff}` : after) : "";
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

/** What to begin after instead, where `after` cannot travel: what comes too much for it is left out by `isWanted`. */
function sendable(after: string): string {
  const [text = ""] = after.split(UNSENT, 1);
  const segments = text.split("/");
  const bad = segments.findIndex(
    (segment, at) => Object.hasOwn(JUST_BEFORE, segment) && (segment !== "" || at < segments.length - 1),
  );
  const start = bad === -1 ? text : [...segments.slice(0, bad), JUST_BEFORE[segments[bad] ?? ""]].join("/");
  if (Buffer.byteLength(start) <= MAX_KEY_BYTES) return start;
  const cut = Buffer.from(start).subarray(0, MAX_KEY_BYTES).toString();
  return cut.replace(/\ufffd+$/, ""); // half a character
}

function lastOf(object = "", prefix = ""): string {
  return compareUtf8(object, prefix) > 0 ? object : prefix;
}
