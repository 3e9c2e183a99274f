/**
 * Storage in a container of Azure: `az://container[/prefix]`. Whose it is, and who the sidecar is there, the variables
 * of Azure's tools say: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or
 * AZURE_STORAGE_SAS_TOKEN; else the identity of the machine, of a workload, or of the Azure CLI.
 * `account`, `account_key`, `sas_token`: instead of a variable; `endpoint`: of another cloud, of an emulator; `ca`: a PEM file of whom to trust;
 * `timeout_ms` (10000): how long Azure may neither take nor send a byte in one of three attempts.
 */

import type { Readable } from "node:stream";
import type * as Sdk from "@azure/storage-blob";
import { configError, type Open, optional, type Preconditions, unavailable } from "@mikcar/core";
import type { ListQuery, ObjectHeaders, ObjectInfo, ReadRequest, Slice, StorageBackend } from "../../backend.ts";
import { Locks } from "../../lock.ts";
import { bodyOf, Incoming } from "../cloud/body.ts";
import { heeding } from "../cloud/listing.ts";
import { type Pin, pin, refused } from "../cloud/pin.ts";
import { type Place, placeOf } from "../cloud/place.ts";
import { type Fetched, read, type Wanted } from "../cloud/read.ts";
import { type Account, openAccount } from "./account.ts";
import { copyBlob, type Copied } from "./copy.ts";
import { deleteBlobs } from "./delete.ts";
import { listPage } from "./listing.ts";
import { checkName, isContainer, metadataOf } from "./names.ts";
import { Signer } from "./sign.ts";
import { attempt, isAbsent, isOther, isRefused, translate } from "./translate.ts";
import { tagOf } from "../cloud/headers.ts";
import { sendOptions, upload } from "./upload.ts";

export const open: Open<StorageBackend> = async (url) => {
  const place = placeOf(url);
  if (!isContainer(url.host)) {
    throw configError(`az: "${url.host}" is no container; expected 3 to 63 of a-z, 0-9 and -, as in az://my-container`);
  }
  const sdk = await optional("@azure/storage-blob", () => import("@azure/storage-blob"));
  return new AzureStorage(sdk, await openAccount(sdk, url, process.env), url.host, place);
};

class AzureStorage implements StorageBackend {
  readonly #sdk: typeof Sdk;
  readonly #account: Account;
  readonly #container: Sdk.ContainerClient;
  readonly #place: Place;
  readonly #signer: Signer;
  readonly #locks = new Locks();
  #isClosed = false;

  constructor(sdk: typeof Sdk, account: Account, container: string, place: Place) {
    this.#sdk = sdk;
    this.#account = account;
    this.#container = account.service.getContainerClient(container);
    this.#place = place;
    this.#signer = new Signer(sdk, account);
  }

  /** Asks for an object, as who may not do that can do nothing here. */
  async ping(): Promise<void> {
    await this.head("mikcar-ping");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#account.close();
  }

  async head(path: string): Promise<ObjectInfo | undefined> {
    const blob = this.#blob(path);
    return attempt(() => this.#head(path, blob));
  }

  async get<S extends Slice>(path: string, request: ReadRequest<S>): ReturnType<typeof read<S>> {
    this.#blob(path); // also when a range makes no request needed
    return read({ head: (of) => this.head(of), fetch: (of, wanted) => this.#fetch(of, wanted) }, path, request);
  }

  async put(
    path: string,
    body: AsyncIterable<Buffer>,
    headers: ObjectHeaders,
    conditions?: Preconditions,
  ): ReturnType<StorageBackend["put"]> {
    const blob = this.#blob(path);
    const options = sendOptions(headers);
    const head = (): Promise<ObjectInfo | undefined> => this.head(path);
    const pinned = await pin(conditions, head);
    const incoming = new Incoming(body);
    try {
      return await upload(blob, incoming, { ...options, ...requiring(pinned) });
    } catch (error) {
      incoming.rethrow();
      if (pinned !== undefined && isRefused(error)) return refused(conditions, head);
      throw translate(error);
    }
  }

  async delete(path: string, conditions?: Preconditions): Promise<boolean> {
    const blob = this.#blob(path);
    const head = (): Promise<ObjectInfo | undefined> => this.head(path);
    const pinned = await pin(conditions, head);
    if (pinned !== undefined && pinned.eTag === undefined) return false;
    try {
      await blob.delete(requiring(pinned));
      return true;
    } catch (error) {
      if (pinned !== undefined && isRefused(error)) return refused(conditions, head);
      if (isAbsent(error)) return false;
      throw translate(error);
    }
  }

  async deleteMany(paths: readonly string[]): ReturnType<StorageBackend["deleteMany"]> {
    this.#requireOpen();
    return deleteBlobs(this.#container, paths, (path) => this.#blob(path));
  }

  async list(query: ListQuery, signal?: AbortSignal): ReturnType<StorageBackend["list"]> {
    this.#requireOpen();
    return heeding(signal, () => attempt(() => listPage(this.#container, this.#place, query, signal)));
  }

  async copy(from: string, to: string): ReturnType<StorageBackend["copy"]> {
    return from === to ? this.head(from) : this.#copy(from, to);
  }

  async move(from: string, to: string): ReturnType<StorageBackend["move"]> {
    if (from === to) return this.head(from);
    return this.#locks.runBoth(from, to, async () => {
      const copied = await this.#copy(from, to);
      if (copied !== undefined) await this.#deleteVersion(from, copied.from);
      return copied;
    });
  }

  async presign(method: "GET" | "PUT", path: string, expiresAt: Date): ReturnType<StorageBackend["presign"]> {
    const blob = this.#blob(path);
    return attempt(() => this.#signer.sign(method, blob, expiresAt));
  }

  async #head(path: string, blob: Sdk.BlobClient): Promise<ObjectInfo | undefined> {
    try {
      const { contentLength: size = 0, ...found } = await blob.getProperties();
      return infoOf(path, size, found);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #fetch(path: string, { range, ifMatch, ifNoneMatch }: Wanted): Promise<Fetched | "absent" | "other"> {
    if (range !== undefined && "suffix" in range) return "other"; // Azure has none
    const { first = 0, last } = range ?? {};
    const count = last === undefined ? undefined : last - first + 1;
    const conditions = {
      ...(ifMatch === undefined ? {} : { ifMatch: `"${ifMatch}"` }),
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: `"${ifNoneMatch}"` }),
    };
    try {
      const found = await this.#blob(path).download(first, count, { conditions });
      const { contentLength = 0, contentRange, readableStreamBody: stream } = found;
      if (stream === undefined) throw new Error("the client gave no stream");
      const size = contentRange === undefined ? contentLength : Number(contentRange.split("/")[1]);
      const start = contentRange === undefined ? 0 : first;
      const body = bodyOf(stream as Readable, translate, this.#account.idleMs); // Node's own, as the client makes it there
      return { info: infoOf(path, size, found), slice: { start, end: start + contentLength }, body };
    } catch (error) {
      if (isAbsent(error)) return "absent";
      if (isOther(error)) return "other";
      throw translate(error);
    }
  }

  async #copy(from: string, to: string): Promise<Copied | undefined> {
    const [client, target] = [this.#blob(from), this.#blob(to)];
    const head = (): Promise<ObjectInfo | undefined> => this.#head(from, client);
    return attempt(() => copyBlob(this.#sdk, this.#account, { client, head }, target));
  }

  /** Another one that is there by now was not copied, and stays. */
  async #deleteVersion(path: string, eTag: string): Promise<void> {
    try {
      await this.#blob(path).delete(requiring({ eTag }));
    } catch (error) {
      if (!isAbsent(error) && !isRefused(error)) throw translate(error);
    }
  }

  #blob(path: string): Sdk.BlockBlobClient {
    this.#requireOpen();
    return this.#container.getBlockBlobClient(checkName(this.#place.nameOf(path)));
  }

  #requireOpen(): void {
    if (this.#isClosed) throw unavailable("the az backend is closed");
  }
}

function requiring(pinned: Pin | undefined): { conditions?: Sdk.BlobRequestConditions } {
  if (pinned === undefined) return {};
  return { conditions: pinned.eTag === undefined ? { ifNoneMatch: "*" } : { ifMatch: `"${pinned.eTag}"` } };
}

function infoOf(
  path: string,
  size: number,
  found: Sdk.BlobDownloadResponseParsed | Sdk.BlobGetPropertiesResponse,
): ObjectInfo {
  const { contentType = "application/octet-stream", cacheControl, etag, lastModified = new Date(0), metadata } = found;
  return {
    path,
    size,
    lastModified,
    eTag: tagOf(etag),
    contentType,
    ...(cacheControl === undefined || cacheControl === "" ? {} : { cacheControl }),
    metadata: metadataOf(metadata),
  };
}
