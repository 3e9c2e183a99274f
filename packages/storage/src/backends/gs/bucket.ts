/**
 * A bucket through the JSON API, https://cloud.google.com/storage/docs/json_api/v1/objects; its bytes are read through the
 * XML API, https://cloud.google.com/storage/docs/xml-api/get-object-download
 */

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { unavailable } from "@mikcar/core";
import type { ObjectHeaders, Slice } from "../../backend.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Listed, ListRequest } from "../cloud/listing.ts";
import type { Wanted } from "../cloud/read.ts";
import { keeping } from "../cloud/body.ts";
import { foreign } from "../cloud/foreign.ts";
import { lengthOf, rangeHeader, sliceOf } from "../cloud/headers.ts";
import { batchOf, outcomesOf } from "./batch.ts";
import { toWire } from "./headers.ts";
import type { Request, Requests } from "./requests.ts";
import { type Found, foundOf, foundOfHeaders, listedOf, stepOf, writtenOf } from "./resource.ts";
import { isBucketGone } from "./translate.ts";

export interface Opened {
  readonly found: Found;
  /** Where the bytes of `stream` are in the object. */
  readonly slice: Slice;
  readonly stream: Readable;
}

/** "refused": the condition does not hold. The entity tag is the generation, which every write makes anew. */
export type Outcome = { readonly size: number; readonly eTag: string } | "refused";

/** An upload under way; its path is a secret, which lets write without a login. */
export interface Session {
  readonly path: string;
}

/** Of one answer, where bytes are copied at all: so none takes long. */
const COPY_BYTES = 512 * 1024 * 1024;

export class GcsBucket {
  readonly #requests: Requests;
  readonly #objects: string;
  readonly #name: string;
  readonly #isEmulator: boolean;

  constructor(requests: Requests, name: string, isEmulator: boolean) {
    this.#isEmulator = isEmulator;
    this.#requests = requests;
    this.#name = name;
    this.#objects = `/storage/v1/b/${name}/o`;
  }

  async head(key: string): Promise<Found | undefined> {
    const query = { fields: "size,generation,updated,contentType,cacheControl,metadata" };
    const answer = await this.#ask({ method: "GET", path: this.#at(key), query }, { 404: undefined });
    return answer === undefined ? undefined : this.#requests.json(answer, foundOf);
  }

  /** `Accept-Encoding` keeps Google from unpacking what others have stored as gzip: the bytes are those that are counted. */
  async open(key: string, { range, ifMatch, ifNoneMatch }: Wanted): Promise<Opened | "absent" | "other"> {
    if (ifNoneMatch !== undefined) return "other"; // only a look can be told any version but one
    const request = this.#media(key, ifMatch);
    const wanted = { "accept-encoding": "gzip", ...(range === undefined ? {} : { range: rangeHeader(range) }) };
    const answers = { 404: "absent", 412: "other", 416: "other" } as const;
    const answer = await this.#ask({ ...request, headers: { ...request.headers, ...wanted } }, answers);
    if (typeof answer === "string") return answer;
    const { headers } = answer;
    const opened = keeping(answer, () => {
      const length = lengthOf(String(headers["x-goog-stored-content-length"] ?? headers["content-length"] ?? ""));
      const { slice, size } = sliceOf(headers["content-range"], length);
      return { found: foundOfHeaders(headers, size), slice, stream: answer };
    });
    if (ifMatch === undefined || opened.found.eTag === ifMatch) return opened;
    answer.destroy(); // emulators do not look at the condition
    return "other";
  }

  /** In one request, headers and bytes together. */
  async write(key: string, bytes: Buffer, headers: ObjectHeaders, pin: Pin | undefined): Promise<Outcome> {
    const resource = JSON.stringify({ name: key, ...toWire(headers) });
    const boundary = randomUUID(); // nothing that could be in the bytes
    const head =
      `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${resource}\r\n` +
      `--${boundary}\r\nContent-Type: ${headers.contentType}\r\n\r\n`;
    const request: Request = {
      method: "POST",
      path: `/upload${this.#objects}`,
      query: { uploadType: "multipart", ...matching(pin), fields: "size,generation" },
      headers: { "content-type": `multipart/related; boundary=${boundary}` },
      body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
      ...(pin === undefined ? {} : { repeat: "unsent" }),
    };
    return this.#outcome(await this.#ask(request, { 412: "refused" } as const));
  }

  /** Begins an upload in chunks. */
  async begin(key: string, headers: ObjectHeaders, pin: Pin | undefined): Promise<Session | "refused"> {
    const request: Request = {
      method: "POST",
      path: `/upload${this.#objects}`,
      query: { uploadType: "resumable", ...matching(pin), fields: "size,generation" },
      headers: { "content-type": "application/json; charset=UTF-8", "x-upload-content-type": headers.contentType },
      body: [Buffer.from(JSON.stringify({ name: key, ...toWire(headers) }))],
    };
    const answer = await this.#ask(request, { 412: "refused" } as const);
    if (answer === "refused") return answer;
    const { location } = answer.headers;
    await this.#requests.text(answer);
    const url = URL.parse(location ?? "");
    if (url === null) throw foreign("the answer to an upload does not tell where it goes");
    return { path: url.pathname + url.search }; // an emulator may know itself by another name
  }

  /**
   * Sends a chunk, or asks with none how far the upload is.
   * @param range As `Content-Range` has it.
   * @returns How many bytes are there by now, while more are to come.
   */
  async chunk({ path }: Session, bytes: Buffer | undefined, range: string): Promise<Outcome | number> {
    const request: Request = {
      method: "PUT",
      path,
      headers: { "content-range": range },
      ...(bytes === undefined ? {} : { body: [bytes], repeat: "never" }),
    };
    const answer = await this.#ask(request, { 404: "gone", 410: "gone", 412: "refused" } as const, 308);
    if (answer === "gone") throw unavailable(`gs://${this.#name}: the upload is no longer known; send the call again`);
    if (typeof answer === "string" || answer.statusCode !== 308) return this.#outcome(answer);
    await this.#requests.text(answer);
    const [, last] = /^bytes=0-(\d+)$/.exec(answer.headers.range ?? "") ?? [];
    return last === undefined ? 0 : Number(last) + 1;
  }

  /** Google answers 499: https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload */
  async cancel({ path }: Session): Promise<void> {
    const answer = await this.#requests.send({ method: "DELETE", path });
    await this.#requests.text(answer);
  }

  /** All of it, with its headers. @param eTag Only this version, else "refused". @returns undefined when it is absent. */
  async copy(from: string, to: string, eTag?: string): Promise<Outcome | undefined> {
    const path = `${this.#at(from)}/rewriteTo/b/${this.#name}/o/${encodeURIComponent(to)}`;
    const fields = "done,rewriteToken,resource(size,generation)";
    let rewriteToken: string | undefined;
    for (;;) {
      const query = { ifSourceGenerationMatch: eTag, maxBytesRewrittenPerCall: COPY_BYTES, rewriteToken, fields };
      const answers = { 404: undefined, 412: "refused" } as const;
      const answer = await this.#ask({ method: "POST", path, query }, answers);
      if (typeof answer !== "object") return answer;
      const step = await this.#requests.json(answer, stepOf);
      if (typeof step === "object") return step;
      rewriteToken = step;
    }
  }

  /** @param eTag Only this version, else "refused". */
  async remove(key: string, eTag?: string): Promise<"removed" | "absent" | "refused"> {
    const request: Request = { method: "DELETE", path: this.#at(key), query: { ifGenerationMatch: eTag } };
    const answer = await this.#ask(request, { 404: "absent", 412: "refused" } as const);
    if (typeof answer === "string") return answer;
    if (answer.statusCode === 204) await this.#requests.text(answer);
    else await this.#requests.json(answer, () => undefined); // as emulators do
    return "removed";
  }

  /**
   * Up to 100 in one call: https://cloud.google.com/storage/docs/batch
   * @returns In the order of `keys`. What could not be done now is left to be tried alone: `undefined`.
   */
  async removeMany(keys: readonly string[]): Promise<readonly (boolean | Error | undefined)[]> {
    const { contentType, body } = batchOf(keys.map((key) => `DELETE ${this.#at(key)}`));
    const headers = { "content-type": contentType };
    const answer = await this.#ask<never>({ method: "POST", path: "/batch/storage/v1", headers, body: [body] }, {});
    const outcomes = outcomesOf(await this.#requests.text(answer), keys.length);
    return outcomes.map((complaint) => {
      if (complaint === undefined) return undefined;
      const { status = 0 } = complaint;
      if (status < 300) return true;
      if (status === 404 && !isBucketGone(complaint)) return false;
      return status === 429 || status >= 500 ? undefined : this.#requests.fail(complaint);
    });
  }

  /** https://cloud.google.com/storage/docs/json_api/v1/objects/list */
  async list({ prefix, start, token, delimiter, limit }: ListRequest, signal?: AbortSignal): Promise<Listed> {
    const query = {
      prefix: prefix === "" ? undefined : prefix,
      startOffset: start === "" ? undefined : start,
      delimiter,
      maxResults: limit,
      pageToken: token,
      fields: "items(name,size,updated,generation),prefixes,nextPageToken",
    };
    const answer = await this.#ask<never>({ method: "GET", path: this.#objects, query, signal }, {});
    return this.#requests.json(answer, listedOf);
  }

  translate(error: unknown): Error {
    return this.#requests.translate(error);
  }

  close(): void {
    this.#requests.close();
  }

  /** @param answers What to answer instead of failing, by status. @param more A status that is no failure. */
  async #ask<A>(request: Request, answers: Readonly<Record<number, A>>, more?: number): Promise<IncomingMessage | A> {
    const response = await this.#requests.send(request);
    const { statusCode: status = 0 } = response;
    if (status < 300 || status === more) return response;
    const complaint = await this.#requests.complaint(response);
    if (Object.hasOwn(answers, status) && !isBucketGone(complaint)) return answers[status] as A; // it is in there
    throw this.#requests.fail(complaint);
  }

  async #outcome(answer: IncomingMessage | "refused"): Promise<Outcome> {
    return answer === "refused" ? answer : this.#requests.json(answer, writtenOf);
  }

  /** The XML API, as the JSON API tells no metadata along with the bytes. Emulators do, and not all know the other one. */
  #media(key: string, generation: string | undefined): Request {
    if (this.#isEmulator) {
      return { method: "GET", path: this.#at(key), query: { alt: "media", ifGenerationMatch: generation } };
    }
    const path = `/${this.#name}/${key.split("/").map(encodeURIComponent).join("/")}`;
    return {
      method: "GET",
      path,
      ...(generation === undefined ? {} : { headers: { "x-goog-if-generation-match": generation } }),
    };
  }

  #at(key: string): string {
    return `${this.#objects}/${encodeURIComponent(key)}`;
  }
}

function matching(pin: Pin | undefined): Request["query"] & object {
  return pin === undefined ? {} : { ifGenerationMatch: pin.eTag ?? 0 };
}
