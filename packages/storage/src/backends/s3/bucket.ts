/** A bucket behind the S3 protocol, as `store.ts` needs it: what differs between client libraries. All errors are ours. */

import type { Readable } from "node:stream";
import type { ObjectHeaders, ObjectInfo, Slice } from "../../backend.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Listed, ListRequest } from "../cloud/listing.ts";
import type { Wanted } from "../cloud/read.ts";

/** Metadata as it travels: `metadata.ts`. */
export type Found = Omit<ObjectInfo, "path">;

export interface Opened {
  readonly found: Found;
  /** Where the bytes of `stream` are in the object. */
  readonly slice: Slice;
  readonly stream: Readable;
}

/** "refused": the pin does not hold; "busy": another write is under way, which may be tried again. */
export type Outcome = { readonly eTag: string } | "refused" | "busy";

/** Bytes `first` to `last`, inclusive, of the version `eTag` of `key`. */
export interface Source {
  readonly key: string;
  readonly eTag: string;
  readonly first: number;
  readonly last: number;
}

export interface Bucket {
  /** Whether a listing may begin inside of a folder. MinIO ends one too early where siblings sort before the slash of it. */
  readonly beginsAnywhere: boolean;
  head(key: string): Promise<Found | undefined>;
  /** As `fetch` of `cloud/read.ts`. */
  open(key: string, wanted: Wanted): Promise<Opened | "absent" | "other">;
  write(key: string, bytes: Buffer, headers: ObjectHeaders, pin: Pin | undefined): Promise<Outcome>;
  /** Begins an upload in parts. @returns Its id. */
  begin(key: string, headers: ObjectHeaders): Promise<string>;
  /** @param number From 1. @returns The tag of the part. */
  writePart(key: string, upload: string, number: number, bytes: Buffer): Promise<string>;
  /** @returns The tag of the part. @throws CONFLICT when the source is another version by now. */
  copyPart(key: string, upload: string, number: number, source: Source): Promise<string>;
  /** Makes an object of the parts. @param tags In the order of their numbers. */
  finish(key: string, upload: string, tags: readonly string[], pin: Pin | undefined): Promise<Outcome>;
  abort(key: string, upload: string): Promise<void>;
  /** All of it, with its headers, up to 5 GiB. "refused": it is another version, or gone. */
  copy(from: string, to: string, eTag: string): Promise<Outcome>;
  /** @param eTag Only this version, on servers that look at it. @returns false when it is another one. */
  remove(key: string, eTag?: string): Promise<boolean>;
  /** Up to 1000 in one call. @returns Those that are still there, and why. */
  removeMany(keys: readonly string[]): Promise<ReadonlyMap<string, Error>>;
  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
  list(request: ListRequest, signal?: AbortSignal): Promise<Listed>;
  presign(method: "GET" | "PUT", key: string, expiresAt: Date): Promise<string>;
  /** Of a body that breaks off. */
  translate(error: unknown): Error;
  close(): void;
}
