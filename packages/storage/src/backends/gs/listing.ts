/** Pages of the seam over pages of Google. */

import { compareUtf8 } from "@mikcar/core";
import type { ListedObject, ListQuery, Page } from "../../backend.ts";
import { pathFault } from "../../path.ts";
import type { GcsBucket, Listed } from "./bucket.ts";

const PAGE = 1000; // the most there is
const MAX_KEY_BYTES = 1024;
const CONTROL = /[\u0000-\u001f]/; // oxlint-disable-line no-control-regex
const NOTHING: Page = { objects: [], prefixes: [], next: undefined };

/** @param base What all keys begin with: empty, or with a slash at its end. */
export async function listPage(bucket: Pick<GcsBucket, "list">, base: string, query: ListQuery): Promise<Page> {
  const prefix = base + (query.prefix === "" ? "" : `${query.prefix}/`);
  const after = query.after === undefined || query.after === "" ? "" : base + query.after.toWellFormed();
  if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) return NOTHING;
  const isInside = after.startsWith(prefix);
  if (!isInside && compareUtf8(after, prefix) > 0) return NOTHING; // all keys come before it
  const isFolder = query.delimiter !== undefined && after.endsWith("/");
  const startOffset = isInside && after !== "" ? behind(after, isFolder) : "";
  const isWanted = (key: string): boolean => after === "" || compareUtf8(key, after) > 0;
  const objects: ListedObject[] = [];
  const prefixes = new Set<string>();
  let token: string | undefined;
  let isMore = true;
  while (isMore && objects.length + prefixes.size < query.limit) {
    const limit = Math.min(PAGE, query.limit - objects.length - prefixes.size);
    const listed: Listed = await bucket.list({ prefix, startOffset, token, delimiter: query.delimiter, limit });
    for (const { key, ...rest } of listed.objects) {
      const path = key.slice(base.length);
      if (isWanted(key) && pathFault(path) === undefined) objects.push({ path, ...rest });
    }
    for (const folder of listed.prefixes) {
      const path = folder.slice(base.length);
      const isDone = (isFolder && folder === after) || !(isWanted(folder) || after.startsWith(folder));
      if (!isDone && pathFault(path.slice(0, -1)) === undefined) prefixes.add(path);
    }
    token = listed.next;
    isMore = token !== undefined;
  }
  return pageOf(objects, [...prefixes], query.limit, isMore);
}

/** Google counts folders as objects; emulators send all of them beside as many objects as were asked for. */
function pageOf(objects: readonly ListedObject[], prefixes: readonly string[], limit: number, isMore: boolean): Page {
  const isLong = objects.length + prefixes.length > limit;
  if (!isLong) return { objects, prefixes, next: isMore ? lastOf(objects.at(-1)?.path, prefixes.at(-1)) : undefined };
  const last = [...objects.map(({ path }) => path), ...prefixes].sort(compareUtf8)[limit - 1] ?? "";
  return {
    objects: objects.filter(({ path }) => compareUtf8(path, last) <= 0),
    prefixes: prefixes.filter((path) => compareUtf8(path, last) <= 0),
    next: last,
  };
}

/**
 * The first key that may come after `after`, as no path has a character below the space; with a folder: after all that is
 * in it (`0` is the character after `/`). A key of Google's has no more than 1024 bytes.
 */
function behind(after: string, isFolder: boolean): string {
  const control = CONTROL.exec(after);
  const start =
    control !== null ? `${after.slice(0, control.index)} ` : isFolder ? `${after.slice(0, -1)}0` : `${after} `;
  if (Buffer.byteLength(start) <= MAX_KEY_BYTES) return start;
  return Buffer.from(start)
    .subarray(0, MAX_KEY_BYTES)
    .toString()
    .replace(/\ufffd+$/, ""); // half a character
}

function lastOf(object = "", prefix = ""): string {
  return compareUtf8(object, prefix) > 0 ? object : prefix;
}
