/** Storage in a bucket of Google Cloud Storage. */

import { badRequest, conflict, type Preconditions, unavailable } from "@mikcar/core";
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
import { requireHolds } from "../../conditional.ts";
import { Locks } from "../../lock.ts";
import { bodyOf } from "../cloud/body.ts";
import { heeding } from "../cloud/listing.ts";
import { pin, refused } from "../cloud/pin.ts";
import type { Place } from "../cloud/place.ts";
import { type Fetched, read, type Reader, type Wanted } from "../cloud/read.ts";
import type { GcsBucket } from "./bucket.ts";
import { toWire } from "./headers.ts";
import { listPage } from "./listing.ts";
import type { Login } from "./login.ts";
import { upload } from "./upload.ts";

const NOT_TAKEN = ".well-known/acme-challenge/";
const MAX_ATTEMPTS = 10;
const DELETES = 100; // the most in one call

export interface StoreOptions {
  /** Undefined: there is none, and nothing can be signed. */
  readonly login: Login | undefined;
  readonly place: Place;
}

export class GcsStore implements StorageBackend {
  readonly #bucket: GcsBucket;
  readonly #login: Login | undefined;
  readonly #place: Place;
  readonly #locks = new Locks();
  readonly #reader: Reader = {
    head: (path) => this.head(path),
    fetch: (path, wanted) => this.#fetch(path, wanted),
  };
  #isClosed = false;

  constructor(bucket: GcsBucket, { login, place }: StoreOptions) {
    this.#bucket = bucket;
    this.#login = login;
    this.#place = place;
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
    return found === undefined ? undefined : { path, ...found };
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
    toWire(headers); // what is wrong with them is told before the body is read
    const held = await pin(conditions, () => this.head(path));
    const outcome = await upload(this.#bucket, key, body, headers, held);
    return outcome === "refused" ? refused(conditions, () => this.head(path)) : outcome;
  }

  async delete(path: string, conditions?: Preconditions): Promise<boolean> {
    const key = this.#key(path);
    if (conditions === undefined) return (await this.#bucket.remove(key)) === "removed";
    const eTag = (await this.#bucket.head(key))?.eTag;
    requireHolds(conditions, eTag);
    if (eTag === undefined) return false;
    if ((await this.#bucket.remove(key, eTag)) === "removed") return true;
    return refused(conditions, () => this.head(path));
  }

  async deleteMany(paths: readonly string[]): Promise<DeleteReport> {
    this.#requireOpen();
    const batches: (readonly string[])[] = [];
    for (let first = 0; first < paths.length; first += DELETES) batches.push(paths.slice(first, first + DELETES));
    const reports = await Promise.all(batches.map((batch) => this.#deleteBatch(batch)));
    return {
      deleted: reports.reduce((sum, { deleted }) => sum + deleted, 0),
      errors: reports.flatMap(({ errors }) => errors),
    };
  }

  async list(query: ListQuery, signal?: AbortSignal): Promise<Page> {
    this.#requireOpen();
    return heeding(signal, () => listPage(this.#bucket, this.#place, query, signal));
  }

  async copy(from: string, to: string): Promise<Written | undefined> {
    const [source, target] = [this.#key(from), this.#key(to)];
    if (source === target) return this.#written(source);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const outcome = await this.#bucket.copy(source, target);
      if (outcome !== "refused") return outcome;
    }
    throw changing(from);
  }

  async move(from: string, to: string): Promise<Written | undefined> {
    const [source, target] = [this.#key(from), this.#key(to)];
    if (source === target) return this.#written(source);
    return this.#locks.runBoth(from, to, async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const eTag = (await this.#bucket.head(source))?.eTag;
        if (eTag === undefined) return undefined;
        const outcome = await this.#bucket.copy(source, target, eTag);
        if (outcome === undefined || outcome === "refused") continue;
        await this.#bucket.remove(source, eTag); // a newer version is nothing that has been moved: it stays
        return outcome;
      }
      throw changing(from);
    });
  }

  async presign(method: "GET" | "PUT", path: string, expiresAt: Date): Promise<SignedUrl | undefined> {
    const url = await this.#login?.sign(method, this.#key(path), expiresAt);
    return url === undefined ? undefined : { url, headers: {} };
  }

  async #written(key: string): Promise<Written | undefined> {
    const found = await this.#bucket.head(key);
    return found === undefined ? undefined : { size: found.size, eTag: found.eTag };
  }

  async #fetch(path: string, wanted: Wanted): Promise<Fetched | "absent" | "other"> {
    const opened = await this.#bucket.open(this.#key(path), wanted);
    if (typeof opened === "string") return opened;
    const { found, slice, stream } = opened;
    const body = bodyOf(stream, (error) => this.#bucket.translate(error));
    return { info: { path, ...found }, slice, body };
  }

  /** One failure of the whole call is one of each of them. */
  async #deleteBatch(paths: readonly string[]): Promise<DeleteReport> {
    const errors: { path: string; error: unknown }[] = [];
    const sent: { readonly path: string; readonly key: string }[] = [];
    for (const path of paths) {
      try {
        sent.push({ path, key: this.#key(path) });
      } catch (error) {
        errors.push({ path, error });
      }
    }
    const outcomes = await this.#removeMany(sent.map(({ key }) => key));
    let deleted = 0;
    for (const [index, { path, key }] of sent.entries()) {
      try {
        const outcome = outcomes[index] ?? (await this.#bucket.remove(key)) === "removed";
        if (outcome instanceof Error) throw outcome;
        if (outcome) deleted += 1;
      } catch (error) {
        errors.push({ path, error });
      }
    }
    return { deleted, errors };
  }

  async #removeMany(keys: readonly string[]): Promise<readonly (boolean | Error | undefined)[]> {
    if (keys.length === 0) return [];
    try {
      return await this.#bucket.removeMany(keys);
    } catch (error) {
      return keys.map(() => error as Error); // all that is thrown here is one of ours
    }
  }

  /** @throws UNAVAILABLE after `close`; BAD_REQUEST for a path that Google cannot keep. */
  #key(path: string): string {
    this.#requireOpen();
    const key = this.#place.nameOf(path);
    if (key.startsWith(NOT_TAKEN)) throw badRequest(`Google Cloud Storage keeps nothing below ${NOT_TAKEN}`);
    return key;
  }

  #requireOpen(): void {
    if (this.#isClosed) throw unavailable("the storage backend is closed");
  }
}

function changing(from: string): Error {
  return conflict(`${from} was written ${MAX_ATTEMPTS} times while it was about to be copied; send the call again`);
}
