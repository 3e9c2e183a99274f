/** What a storage backend does. Paths arrive checked (`path.ts`); bodies go through as streams, in both directions. */

import type { Backend, Preconditions } from "@mikcar/core";

export interface ObjectInfo {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly lastModified: Date;
  /** Without quotes; another one after every write, even of the same bytes. */
  readonly eTag: string;
  readonly contentType: string;
  readonly cacheControl?: string;
  /** By lower-case name, without `x-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a writer may set of an object. */
export type ObjectHeaders = Pick<ObjectInfo, "contentType" | "cacheControl" | "metadata">;

/**
 * A failure in the middle is thrown by the iterator; whoever stops early calls its `return`, which frees what is open.
 * A piece is good until the next one is asked for: its memory may be used again then.
 */
export type ObjectBody = Buffer | AsyncIterable<Buffer>;

/** Bytes from `start` up to, not including, `end`. */
export interface Slice {
  readonly start: number;
  readonly end: number;
}

/** One range as asked for: from `first` to `last` inclusive (absent: to the end), or the last `suffix` bytes. */
export type RangeSpec = { readonly first: number; readonly last?: number } | { readonly suffix: number };

/** What a reader asks of the present version: RFC 9110, 13.1. */
export interface ReadConditions extends Preconditions {
  readonly ifModifiedSince?: Date;
  readonly ifUnmodifiedSince?: Date;
}

/**
 * What a reader wants. A local backend needs `select` alone; one behind a network sends `conditions` and `range` along
 * with its request, so that one round trip is enough.
 */
export interface ReadRequest<S extends Slice> {
  readonly conditions: ReadConditions | undefined;
  readonly range: RangeSpec | undefined;
  /** Decides from the version at hand which bytes to send. What it throws goes to the caller, and nothing stays open. */
  select(info: ObjectInfo): S;
}

export interface FoundObject<S extends Slice> {
  readonly info: ObjectInfo;
  readonly slice: S;
  /** The bytes of the slice, and of this version, whatever is written meanwhile. */
  readonly body: ObjectBody;
}

export interface ListQuery {
  /** Whole segments, without a slash at the end; empty: everything. An object of exactly this path is not below it. */
  readonly prefix: string;
  /** Only what comes after this in byte order; with `delimiter` a folder (`a/b/`) stands for all that is in it. */
  readonly after: string | undefined;
  /** Of objects and folders together, above 0. */
  readonly limit: number;
  /** Fold everything behind the next slash into one entry of `prefixes`. */
  readonly delimiter: "/" | undefined;
}

export type ListedObject = Pick<ObjectInfo, "path" | "size" | "lastModified" | "eTag">;

/** What a write leaves: as much as every store tells without being asked once more. */
export type Written = Pick<ObjectInfo, "size" | "eTag">;

export interface SignedUrl {
  readonly url: string;
  /** What a request to it must carry, beside what it carries anyway. */
  readonly headers: Readonly<Record<string, string>>;
}

/** In byte order of the UTF-8 path. */
export interface Page {
  readonly objects: readonly ListedObject[];
  /** Each with its slash at the end. */
  readonly prefixes: readonly string[];
  /** The last entry of this page; undefined when nothing comes after it. */
  readonly next: string | undefined;
}

export interface DeleteReport {
  /** How many objects there were. */
  readonly deleted: number;
  readonly errors: readonly { readonly path: string; readonly error: unknown }[];
}

export interface StorageBackend extends Backend {
  head(path: string): Promise<ObjectInfo | undefined>;
  get<S extends Slice>(path: string, request: ReadRequest<S>): Promise<FoundObject<S> | undefined>;
  /**
   * Stores `body` as one new version: readers see the old one or the new one. When `body` throws, nothing is stored and
   * nothing is left behind. The conditions and the write are one atomic step.
   * @throws PRECONDITION_FAILED
   */
  put(path: string, body: AsyncIterable<Buffer>, headers: ObjectHeaders, conditions?: Preconditions): Promise<Written>;
  /** @returns false when there was nothing. @throws PRECONDITION_FAILED */
  delete(path: string, conditions?: Preconditions): Promise<boolean>;
  /** What is absent counts as done. One failure does not keep the others from being deleted. */
  deleteMany(paths: readonly string[]): Promise<DeleteReport>;
  /** @param signal When it aborts, nobody waits any more, and nothing more is to be read for this listing. */
  list(query: ListQuery, signal?: AbortSignal): Promise<Page>;
  /** With its headers, over whatever is at `to`; both may be the same. @returns undefined when there is nothing at `from`. */
  copy(from: string, to: string): Promise<Written | undefined>;
  /** As `copy`; `from` goes away once `to` is there. A crash may leave both, never neither. */
  move(from: string, to: string): Promise<Written | undefined>;
  /** A URL of the store's own; undefined where there is none, and then the sidecar signs one of its own. */
  presign(method: "GET" | "PUT", path: string, expiresAt: Date): Promise<SignedUrl | undefined>;
}
