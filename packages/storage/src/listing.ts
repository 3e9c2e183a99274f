/** Pages over anything that holds its paths in byte order. */

import type { ListedObject, ListQuery, Page } from "./backend.ts";

/** A path as one character per UTF-8 byte, so that JavaScript's order of strings is the byte order of paths. */
export type ByteString = string & { readonly kind?: "bytes" };

/** All entries from `start` on, itself included, in order. Closed early when the page is full. */
export type Scan = (start: ByteString) => Iterable<readonly [key: ByteString, object: ListedObject]>;

export function byteString(path: string): ByteString {
  return Buffer.from(path).toString("latin1");
}

export function fromByteString(key: ByteString): string {
  return Buffer.from(key, "latin1").toString();
}

/** One page. It reads what it returns and one entry more; a folded folder costs one seek, however much is in it. */
export function page(scan: Scan, { prefix, after, limit, delimiter }: ListQuery): Page {
  const below = prefix === "" ? "" : `${byteString(prefix)}/`;
  const objects: ListedObject[] = [];
  const prefixes: string[] = [];
  const isFull = (): boolean => objects.length + prefixes.length === limit;
  let last = "";
  let start: ByteString | undefined = laterOf(below, after === undefined ? "" : behind(byteString(after), delimiter));
  while (start !== undefined) {
    const from: ByteString = start;
    start = undefined;
    for (const [key, object] of scan(from)) {
      if (!key.startsWith(below)) break;
      if (isFull()) return { objects, prefixes, next: last };
      const slash = delimiter === undefined ? -1 : key.indexOf(delimiter, below.length);
      if (slash === -1) {
        objects.push(object);
        last = object.path;
        continue;
      }
      last = fromByteString(key.slice(0, slash + 1));
      prefixes.push(last);
      start = behind(key.slice(0, slash + 1), delimiter);
      break;
    }
  }
  return { objects, prefixes, next: undefined };
}

/** The first key that may come after `key`, or after all that is in it when it is a folder (`0` is the byte after `/`). */
function behind(key: ByteString, delimiter: "/" | undefined): ByteString {
  return delimiter !== undefined && key.endsWith("/") ? `${key.slice(0, -1)}0` : `${key}\0`;
}

function laterOf(a: ByteString, b: ByteString): ByteString {
  return a > b ? a : b;
}
