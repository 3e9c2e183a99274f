/** A bucket through the `minio` client. */

import { createHash } from "node:crypto";
import type http from "node:http";
import { conflict } from "@mikcar/core";
import type { Client } from "minio";
import type { ObjectHeaders } from "../../backend.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Wanted } from "../cloud/read.ts";
import type { Listed, ListRequest } from "../cloud/listing.ts";
import type { Bucket, Found, Opened, Outcome, Source } from "../s3/bucket.ts";
import { keeping } from "../cloud/body.ts";
import { foreign } from "../cloud/foreign.ts";
import { bareTag, lengthOf, rangeHeader, sliceOf, tagOf } from "../cloud/headers.ts";
import { copySource, decodeKey } from "../s3/headers.ts";
import { failure, type Place } from "../s3/translate.ts";
import { Requests } from "./requests.ts";
import { blocks, escape, text } from "./xml.ts";

const META = "x-amz-meta-";
const ABSENT = { 404: undefined } as const;
const UNREAD = { 304: "other", 404: "absent", 412: "other", 416: "other" } as const;
// All bytes are always sent: MinIO misses some when the folder that it writes into is removed at that moment.
const UNWRITTEN = { 404: "refused", 409: "busy", 412: "refused", IncompleteBody: "busy" } as const;
const NOT_REMOVED = { 404: undefined, 409: false, 412: false } as const;
const LOGIN = "the login in the URL, MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, or AWS_ACCESS_KEY_ID";

export class MinioBucket implements Bucket {
  readonly beginsAnywhere = false;
  readonly #client: Client;
  readonly #name: string;
  readonly #agent: http.Agent;
  readonly #place: Place;
  readonly #requests: Requests;

  /** @param agent That of the client. */
  constructor(client: Client, name: string, agent: http.Agent) {
    this.#client = client;
    this.#name = name;
    this.#agent = agent;
    this.#place = { bucket: `minio bucket ${name}`, login: LOGIN };
    this.#requests = new Requests(client, name, this.#place);
  }

  async head(key: string): Promise<Found | undefined> {
    const response = await this.#requests.ask({ method: "HEAD", key }, ABSENT);
    if (response === undefined) return undefined;
    response.resume();
    return foundOf(response.headers, lengthOf(response.headers["content-length"]));
  }

  async open(key: string, { range, ifMatch, ifNoneMatch }: Wanted): Promise<Opened | "absent" | "other"> {
    const headers = {
      ...(range === undefined ? {} : { range: rangeHeader(range) }),
      ...(ifMatch === undefined ? {} : { "if-match": `"${ifMatch}"` }),
      ...(ifNoneMatch === undefined ? {} : { "if-none-match": `"${ifNoneMatch}"` }),
    };
    const response = await this.#requests.ask({ method: "GET", key, headers }, UNREAD);
    if (typeof response === "string") return response;
    const { "content-range": contentRange, "content-length": length } = response.headers;
    return keeping(response, () => {
      const { slice, size } = sliceOf(contentRange, lengthOf(length));
      return { found: foundOf(response.headers, size), slice, stream: response };
    });
  }

  async write(key: string, bytes: Buffer, kept: ObjectHeaders, pin: Pin | undefined): Promise<Outcome> {
    const headers = { ...sent(kept), ...pinned(pin) };
    const response = await this.#requests.ask({ method: "PUT", key, headers, body: bytes }, UNWRITTEN);
    return typeof response === "string" ? response : { eTag: written(response) };
  }

  async begin(key: string, kept: ObjectHeaders): Promise<string> {
    const xml = await this.#read({ method: "POST", key, query: { uploads: "" }, headers: sent(kept) });
    const id = text(xml, "UploadId");
    if (id === "") throw foreign("the answer to an upload has no id of it");
    return id;
  }

  async writePart(key: string, upload: string, number: number, bytes: Buffer): Promise<string> {
    const query = { partNumber: number, uploadId: upload };
    return written(await this.#requests.send({ method: "PUT", key, query, body: bytes }));
  }

  async copyPart(key: string, upload: string, number: number, source: Source): Promise<string> {
    const query = { partNumber: number, uploadId: upload };
    const headers = {
      "x-amz-copy-source": copySource(this.#name, source.key),
      "x-amz-copy-source-if-match": `"${source.eTag}"`,
      "x-amz-copy-source-range": `bytes=${source.first}-${source.last}`,
    };
    const response = await this.#requests.ask({ method: "PUT", key, query, headers }, { 412: undefined });
    if (response === undefined) throw conflict("the object was written while it was copied; send the call again");
    return tagOf(text(this.#checked(await this.#requests.text(response)), "ETag"));
  }

  async finish(key: string, upload: string, tags: readonly string[], pin: Pin | undefined): Promise<Outcome> {
    const parts = tags.map(
      (tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escape(tag)}</ETag></Part>`,
    );
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
    const request = { method: "POST", key, query: { uploadId: upload }, headers: pinned(pin), body } as const;
    return this.#written(await this.#requests.ask(request, UNWRITTEN));
  }

  async abort(key: string, upload: string): Promise<void> {
    (await this.#requests.send({ method: "DELETE", key, query: { uploadId: upload } })).resume();
  }

  async copy(from: string, to: string, eTag: string): Promise<Outcome> {
    const headers = {
      "x-amz-copy-source": copySource(this.#name, from),
      "x-amz-copy-source-if-match": `"${eTag}"`,
    };
    return this.#written(await this.#requests.ask({ method: "PUT", key: to, headers }, UNWRITTEN));
  }

  async remove(key: string, eTag?: string): Promise<boolean> {
    const headers: Record<string, string> = eTag === undefined ? {} : { "if-match": `"${eTag}"` };
    const response = await this.#requests.ask({ method: "DELETE", key, headers }, NOT_REMOVED);
    if (typeof response === "object") {
      response.resume();
      if (response.statusCode !== 204) throw foreign("the answer to a delete is none");
    }
    return response !== false;
  }

  async removeMany(keys: readonly string[]): Promise<ReadonlyMap<string, Error>> {
    const objects = keys.map((key) => `<Object><Key>${escape(key)}</Key></Object>`).join("");
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects}</Delete>`);
    const headers = { "content-md5": createHash("md5").update(body).digest("base64") };
    const xml = await this.#read({ method: "POST", query: { delete: "" }, headers, body });
    if (!xml.includes("<DeleteResult")) throw foreign("the answer to a delete is none");
    return new Map(
      blocks(xml, "Error").map((error) => {
        const complaint = { code: text(error, "Code"), message: text(error, "Message"), status: 400 };
        return [text(error, "Key"), failure(complaint, this.#place)] as const;
      }),
    );
  }

  async list({ prefix, start, token, delimiter, limit }: ListRequest, signal?: AbortSignal): Promise<Listed> {
    const from = token === undefined ? { "start-after": start } : { "continuation-token": token };
    const query = {
      "list-type": 2,
      "encoding-type": "url",
      "max-keys": limit,
      prefix,
      delimiter: delimiter ?? "",
      ...from,
    };
    const xml = await this.#read({ method: "GET", query, signal });
    if (!xml.includes("<ListBucketResult")) throw foreign("the answer to a listing is none");
    return {
      objects: blocks(xml, "Contents").map((entry) => ({
        key: decodeKey(text(entry, "Key")),
        size: Number(text(entry, "Size")),
        lastModified: inSeconds(text(entry, "LastModified")),
        eTag: bareTag(text(entry, "ETag")),
      })),
      prefixes: blocks(xml, "CommonPrefixes").map((entry) => decodeKey(text(entry, "Prefix"))),
      next: text(xml, "IsTruncated") === "true" ? text(xml, "NextContinuationToken") : undefined,
    };
  }

  async presign(method: "GET" | "PUT", key: string, expiresAt: Date): Promise<string> {
    const now = new Date(Math.floor(Date.now() / 1000) * 1000); // signatures know no fractions
    const expiresIn = Math.min(604_800, Math.max(1, (expiresAt.getTime() - now.getTime()) / 1000));
    try {
      return await this.#client.presignedUrl(method, this.#name, key, expiresIn, {}, now);
    } catch (error) {
      throw this.translate(error);
    }
  }

  translate(error: unknown): Error {
    return this.#requests.translate(error);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #read(request: Parameters<Requests["send"]>[0]): Promise<string> {
    return this.#requests.text(await this.#requests.send(request));
  }

  async #written(response: http.IncomingMessage | "refused" | "busy"): Promise<Outcome> {
    if (typeof response === "string") return response;
    return { eTag: tagOf(text(this.#checked(await this.#requests.text(response)), "ETag")) };
  }

  /** A long answer begins before the server knows how it ends. @throws what it says then. */
  #checked(xml: string): string {
    if (!xml.includes("<Error>")) return xml;
    throw failure({ code: text(xml, "Code"), message: text(xml, "Message"), status: 500 }, this.#place);
  }
}

function foundOf(headers: http.IncomingHttpHeaders, size: number): Found {
  const { "cache-control": cacheControl, "content-type": contentType = "application/octet-stream" } = headers;
  const metadata: [string, string][] = [];
  for (const name in headers)
    if (name.startsWith(META)) metadata.push([name.slice(META.length), String(headers[name])]);
  return {
    size,
    lastModified: new Date(headers["last-modified"] ?? 0),
    eTag: tagOf(headers.etag),
    contentType,
    ...(cacheControl === undefined ? {} : { cacheControl }),
    metadata: Object.fromEntries(metadata),
  };
}

/** The server lists with fractions of a second, which a header cannot tell. */
function inSeconds(time: string): Date {
  return new Date(Math.floor(Date.parse(time) / 1000) * 1000);
}

/** The entity tag of what was written. */
function written(response: http.IncomingMessage): string {
  response.resume(); // there is nothing else in it
  return tagOf(response.headers.etag);
}

function sent({ contentType, cacheControl, metadata }: ObjectHeaders): Record<string, string> {
  const headers: Record<string, string> = { "content-type": contentType };
  if (cacheControl !== undefined) headers["cache-control"] = cacheControl;
  for (const name in metadata) headers[META + name] = metadata[name] as string; // for…in yields its keys
  return headers;
}

function pinned(pin: Pin | undefined): Record<string, string> {
  if (pin === undefined) return {};
  return pin.eTag === undefined ? { "if-none-match": "*" } : { "if-match": `"${pin.eTag}"` };
}
