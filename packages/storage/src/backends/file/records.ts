/** The index: what a file system does not know of an object, and all paths in byte order. */

import { openEnvironment, type Environment, type Table } from "@mikcar/lmdb";
import type { ListedObject, ObjectHeaders, ObjectInfo } from "../../backend.ts";
import { newETag } from "../../etag.ts";
import type { ByteString } from "../../listing.ts";
import { mediaType } from "../../media.ts";
import type { Identity } from "./files.ts";

/** What is kept of an object, with the identity of the file it speaks of. */
export interface ObjectRecord extends Identity, ObjectHeaders {
  readonly eTag: string;
}

const SCANNED = Buffer.from("scanned");
const EMPTY = Buffer.alloc(0);

export function newRecord({ ino, mtimeMs, size }: Identity, headers: ObjectHeaders): ObjectRecord {
  const { contentType, cacheControl, metadata } = headers;
  const kept = { contentType, ...(cacheControl === undefined ? {} : { cacheControl }), metadata };
  return { ino, mtimeMs, size, eTag: newETag(), ...kept };
}

/** The record of a file that somebody else put there. */
export function foundRecord(path: string, identity: Identity): ObjectRecord {
  return newRecord(identity, { contentType: mediaType(path), metadata: {} });
}

export function infoOf(path: string, record: ObjectRecord): ObjectInfo {
  const { size, mtimeMs, eTag, contentType, cacheControl, metadata } = record;
  const lastModified = new Date(mtimeMs);
  return {
    path,
    size,
    lastModified,
    eTag,
    contentType,
    ...(cacheControl === undefined ? {} : { cacheControl }),
    metadata,
  };
}

/**
 * Every change is first staged, then made in the folder, then finished: after a crash what is staged tells, by the file
 * that is there, which of the two states holds. Each write resolves when it is on disk.
 */
export class Index {
  readonly #environment: Environment;
  readonly #objects: Table;
  /** What is about to be true of a path: a record whose file comes, or null when its file goes. */
  readonly #staged: Table;
  readonly #facts: Table;

  /** @throws CONFIG_ERROR for a path that cannot be used. */
  constructor(path: string) {
    this.#environment = openEnvironment(path);
    this.#objects = this.#environment.table("objects");
    this.#staged = this.#environment.table("staged");
    this.#facts = this.#environment.table("facts");
  }

  get(path: string): ObjectRecord | undefined {
    const value = this.#objects.get(Buffer.from(path));
    return value === undefined ? undefined : (parse(value) as ObjectRecord); // only records are put there
  }

  *scan(start: ByteString): Generator<readonly [ByteString, ListedObject]> {
    for (const { key, value } of this.#objects.entries({ start: Buffer.from(start, "latin1") })) {
      yield [key.toString("latin1"), infoOf(key.toString(), parse(value) as ObjectRecord)];
    }
  }

  /** All that a crash left half done. */
  staged(): [path: string, record: ObjectRecord | null][] {
    return [...this.#staged.entries({})].map(({ key, value }) => [key.toString(), parse(value)]);
  }

  /** @param record Null: the file goes. @param check In one step with the write; when it throws, nothing is written. */
  stage(path: string, record: ObjectRecord | null, check?: (present: ObjectRecord | undefined) => void): Promise<void> {
    const key = Buffer.from(path);
    const value = Buffer.from(JSON.stringify(record));
    return this.#environment.commit((draft) => {
      if (check !== undefined) {
        const present = draft.get(this.#objects, key);
        check(present === undefined ? undefined : (parse(present) as ObjectRecord));
      }
      draft.put(this.#staged, key, value);
    });
  }

  /** @param record Null: there is no object. */
  finish(path: string, record: ObjectRecord | null): Promise<void> {
    const key = Buffer.from(path);
    const value = record === null ? undefined : Buffer.from(JSON.stringify(record));
    return this.#environment.commit((draft) => {
      if (value === undefined) draft.remove(this.#objects, key);
      else draft.put(this.#objects, key, value);
      draft.remove(this.#staged, key);
    });
  }

  /** Forgets what was staged, as it did not happen. */
  drop(path: string): Promise<void> {
    return this.#environment.commit((draft) => draft.remove(this.#staged, Buffer.from(path)));
  }

  /** Whether every file of the folder had a record once. */
  get isComplete(): boolean {
    return this.#facts.has(SCANNED);
  }

  complete(): Promise<void> {
    return this.#environment.commit((draft) => draft.put(this.#facts, SCANNED, EMPTY));
  }

  close(): Promise<void> {
    return this.#environment.close();
  }
}

function parse(value: Buffer): ObjectRecord | null {
  return JSON.parse(value.toString()) as ObjectRecord | null; // our own writing
}
