/** Storage in a bucket, whichever client library speaks to it. */

import { conflict, type Preconditions, unavailable } from "@mikcar/core";
import type {
  DeleteReport,
  FoundObject,
  ListQuery,
  ObjectHeaders,
  ObjectInfo,
  Page,
  ReadRequest,
  SignedUrl,
  Slice,
  StorageBackend,
  Written,
} from "../../backend.ts";
import { deleteEach } from "../../batch.ts";
import { requireHolds } from "../../conditional.ts";
import { Locks } from "../../lock.ts";
import { bodyOf } from "../cloud/body.ts";
import { heeding } from "../cloud/listing.ts";
import { pin, refused } from "../cloud/pin.ts";
import type { Place } from "../cloud/place.ts";
import { decodeAll } from "../cloud/words.ts";
import { type Fetched, read, type Reader, type Wanted } from "../cloud/read.ts";
import type { Bucket, Found } from "./bucket.ts";
import { listPage } from "./listing.ts";
import { toWire } from "./metadata.ts";
import { copyInParts, upload } from "./upload.ts";

const MAX_ATTEMPTS = 10;
const DELETES = 1000; // the most in one call

export interface StoreOptions {
  readonly place: Place;
  /** Larger objects are copied in parts of this size, so that no answer takes long. */
  readonly copyBytes?: number;
}

export class S3Store implements StorageBackend {
  readonly #bucket: Bucket;
  readonly #place: Place;
  readonly #copyBytes: number;
  readonly #locks = new Locks();
  readonly #reader: Reader = {
    head: (path) => this.head(path),
    fetch: (path, wanted) => this.#fetch(path, wanted),
  };
  #isClosed = false;

  constructor(bucket: Bucket, { place, copyBytes = 512 * 1024 * 1024 }: StoreOptions) {
    this.#bucket = bucket;
    this.#place = place;
    this.#copyBytes = copyBytes;
  }

  /** Listing is what a sidecar needs beside reading and writing: without that right, the absent would be forbidden. */
  async ping(): Promise<void> {
    this.#requireOpen();
    const all = { prefix: this.#place.base, start: "", token: undefined, delimiter: undefined, limit: 1 };
    await this.#bucket.list(all);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#bucket.close();
  }

  async head(path: string): Promise<ObjectInfo | undefined> {
    const found = await this.#bucket.head(this.#key(path));
    return found === undefined ? undefined : infoOf(path, found);
  }

  async get<S extends Slice>(path: string, request: ReadRequest<S>): Promise<FoundObject<S> | undefined> {
    return read(this.#reader, path, request);
  }

  async put(
    path: string,
    body: AsyncIterable<Buffer>,
    headers: ObjectHeaders,
    conditions?: Preconditions,
  ): Promise<Written> {
    const key = this.#key(path);
    const kept = toWire(headers);
    const held = await pin(conditions, () => this.head(path));
    const { size, outcome } = await upload(this.#bucket, key, body, kept, held);
    if (typeof outcome === "string") return refused(conditions, () => this.head(path));
    return { size, eTag: outcome.eTag };
  }

  /** The protocol answers alike whether there was something, so it is asked first. */
  async delete(path: string, conditions?: Preconditions): Promise<boolean> {
    const key = this.#key(path);
    const eTag = (await this.#bucket.head(key))?.eTag;
    requireHolds(conditions, eTag);
    if (eTag === undefined) return false;
    if (await this.#bucket.remove(key, conditions === undefined ? undefined : eTag)) return true;
    return refused(conditions, () => this.head(path));
  }

  async deleteMany(paths: readonly string[]): Promise<DeleteReport> {
    this.#requireOpen();
    const present: string[] = [];
    const { errors } = await deleteEach(paths, async (path) => {
      const isPresent = (await this.#bucket.head(this.#key(path))) !== undefined;
      if (isPresent) present.push(path);
      return isPresent;
    });
    const failed = [...errors];
    for (let first = 0; first < present.length; first += DELETES) {
      const batch = present.slice(first, first + DELETES);
      const left = await this.#removeMany(batch.map((path) => this.#key(path)));
      for (const path of batch) {
        const error = left.get(this.#key(path));
        if (error !== undefined) failed.push({ path, error });
      }
    }
    return { deleted: present.length - (failed.length - errors.length), errors: failed };
  }

  async list(query: ListQuery, signal?: AbortSignal): Promise<Page> {
    this.#requireOpen();
    return heeding(signal, () => listPage(this.#bucket, this.#place, query, signal));
  }

  async copy(from: string, to: string): Promise<Written | undefined> {
    return (await this.#copied(from, to))?.written;
  }

  async move(from: string, to: string): Promise<Written | undefined> {
    if (from === to) return this.copy(from, to);
    return this.#locks.runBoth(from, to, async () => {
      const copied = await this.#copied(from, to);
      if (copied === undefined) return undefined;
      await this.#bucket.remove(this.#key(from), copied.eTag); // a newer version is nothing that has been moved: it stays
      return copied.written;
    });
  }

  async presign(method: "GET" | "PUT", path: string, expiresAt: Date): Promise<SignedUrl> {
    return { url: await this.#bucket.presign(method, this.#key(path), expiresAt), headers: {} };
  }

  /** @returns With the entity tag of what was copied. */
  async #copied(from: string, to: string): Promise<{ readonly eTag: string; readonly written: Written } | undefined> {
    const [source, target] = [this.#key(from), this.#key(to)];
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const found = await this.#bucket.head(source);
      if (found === undefined) return undefined;
      const { size, eTag } = found;
      if (source === target) return { eTag, written: { size, eTag } };
      const outcome =
        size > this.#copyBytes
          ? await copyInParts(this.#bucket, { key: source, size, eTag, headers: found }, target, this.#copyBytes)
          : await this.#bucket.copy(source, target, eTag);
      if (typeof outcome === "object") return { eTag, written: { size, eTag: outcome.eTag } };
    }
    throw conflict(`${from} was written ${MAX_ATTEMPTS} times while it was about to be copied; send the call again`);
  }

  async #fetch(path: string, wanted: Wanted): Promise<Fetched | "absent" | "other"> {
    const opened = await this.#bucket.open(this.#key(path), wanted);
    if (typeof opened === "string") return opened;
    const { found, slice, stream } = opened;
    const body = bodyOf(stream, (error) => this.#bucket.translate(error));
    return { info: infoOf(path, found), slice, body };
  }

  /** One failure of the whole call is one of each of them. */
  async #removeMany(keys: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
    try {
      return await this.#bucket.removeMany(keys);
    } catch (error) {
      return new Map(keys.map((key) => [key, error]));
    }
  }

  /** @throws UNAVAILABLE after `close`; BAD_REQUEST for a path that S3 cannot keep. */
  #key(path: string): string {
    this.#requireOpen();
    return this.#place.nameOf(path);
  }

  #requireOpen(): void {
    if (this.#isClosed) throw unavailable("the storage backend is closed");
  }
}

function infoOf(path: string, found: Found): ObjectInfo {
  return { path, ...found, metadata: decodeAll(found.metadata) };
}
