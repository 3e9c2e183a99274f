/** Reads from a store behind a network: in one request where that can be, and of one version always. */

import { conflict } from "@mikcar/core";
import type { FoundObject, ObjectInfo, RangeSpec, ReadConditions, ReadRequest, Slice } from "../../backend.ts";
import { cut, drop } from "./body.ts";

const MAX_ATTEMPTS = 10;

export interface Wanted {
  readonly range: RangeSpec | undefined;
  /** Only this version. */
  readonly ifMatch?: string;
  /** Any version but this. */
  readonly ifNoneMatch?: string;
}

export interface Fetched {
  readonly info: ObjectInfo;
  /** Where the bytes of `body` are in the object. */
  readonly slice: Slice;
  readonly body: AsyncIterable<Buffer>;
}

export interface Reader {
  head(path: string): Promise<ObjectInfo | undefined>;
  /**
   * One request for the object.
   * @returns "absent"; "other" when the store does not give these bytes of this version (its 304, 412 and 416), or
   * knows no such range.
   */
  fetch(path: string, wanted: Wanted): Promise<Fetched | "absent" | "other">;
}

/** `get` of the seam. @throws what `select` throws, and CONFLICT when the object changes faster than it can be read. */
export async function read<S extends Slice>(
  store: Reader,
  path: string,
  { conditions, range, select }: ReadRequest<S>,
): Promise<FoundObject<S> | undefined> {
  const revalidated = soleTag(conditions);
  if (conditions === undefined || revalidated !== undefined) {
    const wanted = { range, ...(revalidated === undefined ? {} : { ifNoneMatch: revalidated }) };
    const fetched = await store.fetch(path, wanted);
    if (fetched === "absent") return undefined;
    if (fetched !== "other") {
      const found = await selected(fetched, select);
      if (found !== undefined) return found;
    }
  }
  return readPinned(store, path, select);
}

/** Looks first, and then reads that version; again when another one has come between. */
async function readPinned<S extends Slice>(
  store: Reader,
  path: string,
  select: ReadRequest<S>["select"],
): Promise<FoundObject<S> | undefined> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const info = await store.head(path);
    if (info === undefined) return undefined;
    const slice = select(info);
    if (slice.start === slice.end) return { info, slice, body: Buffer.alloc(0) };
    const range = { first: slice.start, last: slice.end - 1 };
    const fetched = await store.fetch(path, { range, ifMatch: info.eTag });
    if (fetched === "absent") return undefined;
    if (fetched !== "other") return { info, slice, body: fetched.body };
  }
  throw conflict(`${path} was written ${MAX_ATTEMPTS} times while it was about to be read; ask again`);
}

/** Undefined when other bytes are wanted than those that came. */
async function selected<S extends Slice>(
  { info, slice: sent, body }: Fetched,
  select: ReadRequest<S>["select"],
): Promise<FoundObject<S> | undefined> {
  let isTaken = false;
  try {
    const slice = select(info);
    if (slice.start < sent.start || slice.end > sent.end) return undefined;
    const isAll = slice.start === sent.start && slice.end === sent.end;
    isTaken = isAll || slice.start < slice.end;
    if (!isTaken) return { info, slice, body: Buffer.alloc(0) };
    return { info, slice, body: isAll ? body : cut(body, slice.start - sent.start, slice.end - slice.start) };
  } finally {
    if (!isTaken) await drop(body);
  }
}

/** The one version that a cache holds and asks about; other conditions are rare, and look first. */
function soleTag(conditions: ReadConditions | undefined): string | undefined {
  if (conditions?.ifMatch !== undefined || conditions?.ifUnmodifiedSince !== undefined) return undefined;
  const tags = conditions?.ifNoneMatch;
  return Array.isArray(tags) && tags.length === 1 ? (tags[0] as string) : undefined;
}
