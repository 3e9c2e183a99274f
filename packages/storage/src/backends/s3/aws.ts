/** A bucket through the AWS SDK. */

import type { IncomingMessage } from "node:http";
import type * as Sdk from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import type * as Presigner from "@aws-sdk/s3-request-presigner";
import { conflict } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Listed, ListRequest } from "../cloud/listing.ts";
import type { Wanted } from "../cloud/read.ts";
import { foundOf, inSeconds, pinned, sent } from "./aws-headers.ts";
import type { Bucket, Found, Opened, Outcome, Source } from "./bucket.ts";
import { keeping } from "../cloud/body.ts";
import { foreign } from "../cloud/foreign.ts";
import { bareTag, lengthOf, rangeHeader, sliceOf, tagOf } from "../cloud/headers.ts";
import { copySource, decodeKey } from "./headers.ts";
import { answerTo, failure } from "./translate.ts";

export interface Libraries {
  readonly sdk: typeof Sdk;
  readonly presigner: typeof Presigner;
}

/** The parts of an SDK error that are used: its name is the code of S3. */
interface AwsError {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

const ABSENT = { 404: undefined } as const;
const UNREAD = { 304: "other", 404: "absent", 412: "other", 416: "other" } as const;
// All bytes are always sent: MinIO misses some when the folder that it writes into is removed at that moment.
const UNWRITTEN = { 404: "refused", 409: "busy", 412: "refused", IncompleteBody: "busy" } as const;
const NOT_REMOVED = { 404: undefined, 409: false, 412: false } as const;
const LOGIN = "AWS_ACCESS_KEY_ID, AWS_PROFILE, the role of this machine, or access_key_id= and secret_access_key=";

export class AwsBucket implements Bucket {
  readonly #sdk: typeof Sdk;
  readonly #presigner: typeof Presigner;
  readonly #client: S3Client;
  readonly #name: string;
  #isAmazon = false;

  constructor({ sdk, presigner }: Libraries, client: S3Client, name: string) {
    this.#sdk = sdk;
    this.#presigner = presigner;
    this.#client = client;
    this.#name = name;
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { headers } = result.response as { readonly headers?: Readonly<Record<string, string>> };
        this.#isAmazon = headers?.["server"] === "AmazonS3";
        return result;
      },
      { step: "deserialize", priority: "low" }, // next to the answer as it came
    );
  }

  /** Amazon says who it is in each answer, and proxies hide who others are. */
  get beginsAnywhere(): boolean {
    return this.#isAmazon;
  }

  async head(key: string): Promise<Found | undefined> {
    const command = new this.#sdk.HeadObjectCommand(this.#at(key));
    const found = await this.#ask(ABSENT, () => this.#client.send(command));
    return found === undefined ? undefined : foundOf(found, lengthOf(found.ContentLength));
  }

  async open(key: string, { range, ifMatch, ifNoneMatch }: Wanted): Promise<Opened | "absent" | "other"> {
    const command = new this.#sdk.GetObjectCommand({
      ...this.#at(key),
      ...(range === undefined ? {} : { Range: rangeHeader(range) }),
      ...(ifMatch === undefined ? {} : { IfMatch: `"${ifMatch}"` }),
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: `"${ifNoneMatch}"` }),
    });
    const answer = await this.#ask(UNREAD, () => this.#client.send(command));
    if (typeof answer === "string") return answer;
    const stream = answer.Body as IncomingMessage; // as it is in Node, with methods of the SDK
    return keeping(stream, () => {
      const { slice, size } = sliceOf(answer.ContentRange, lengthOf(answer.ContentLength));
      return { found: foundOf(answer, size), slice, stream };
    });
  }

  async write(key: string, bytes: Buffer, headers: ObjectHeaders, pin: Pin | undefined): Promise<Outcome> {
    const command = new this.#sdk.PutObjectCommand({ ...this.#at(key), Body: bytes, ...sent(headers), ...pinned(pin) });
    const answer = await this.#ask(UNWRITTEN, () => this.#client.send(command));
    return typeof answer === "string" ? answer : { eTag: tagOf(answer.ETag) };
  }

  async begin(key: string, headers: ObjectHeaders): Promise<string> {
    const command = new this.#sdk.CreateMultipartUploadCommand({ ...this.#at(key), ...sent(headers) });
    const { UploadId = "" } = await this.#send(() => this.#client.send(command));
    if (UploadId === "") throw foreign("the answer to an upload has no id of it");
    return UploadId;
  }

  async writePart(key: string, upload: string, number: number, bytes: Buffer): Promise<string> {
    const part = { ...this.#at(key), UploadId: upload, PartNumber: number, Body: bytes };
    return tagOf((await this.#send(() => this.#client.send(new this.#sdk.UploadPartCommand(part)))).ETag);
  }

  async copyPart(key: string, upload: string, number: number, source: Source): Promise<string> {
    const command = new this.#sdk.UploadPartCopyCommand({
      ...this.#at(key),
      UploadId: upload,
      PartNumber: number,
      CopySource: copySource(this.#name, source.key),
      CopySourceIfMatch: `"${source.eTag}"`,
      CopySourceRange: `bytes=${source.first}-${source.last}`,
    });
    const answer = await this.#ask({ 412: undefined }, () => this.#client.send(command));
    if (answer === undefined) throw conflict("the object was written while it was copied; send the call again");
    return tagOf(answer.CopyPartResult?.ETag);
  }

  async finish(key: string, upload: string, tags: readonly string[], pin: Pin | undefined): Promise<Outcome> {
    const Parts = tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    const command = new this.#sdk.CompleteMultipartUploadCommand({
      ...this.#at(key),
      UploadId: upload,
      MultipartUpload: { Parts },
      ...pinned(pin),
    });
    const answer = await this.#ask(UNWRITTEN, () => this.#client.send(command));
    return typeof answer === "string" ? answer : { eTag: tagOf(answer.ETag) };
  }

  async abort(key: string, upload: string): Promise<void> {
    const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload });
    await this.#send(() => this.#client.send(command));
  }

  async copy(from: string, to: string, eTag: string): Promise<Outcome> {
    const command = new this.#sdk.CopyObjectCommand({
      ...this.#at(to),
      CopySource: copySource(this.#name, from),
      CopySourceIfMatch: `"${eTag}"`,
    });
    const answer = await this.#ask(UNWRITTEN, () => this.#client.send(command));
    return typeof answer === "string" ? answer : { eTag: tagOf(answer.CopyObjectResult?.ETag) };
  }

  async remove(key: string, eTag?: string): Promise<boolean> {
    const command = new this.#sdk.DeleteObjectCommand({
      ...this.#at(key),
      ...(eTag === undefined ? {} : { IfMatch: `"${eTag}"` }),
    });
    const answer = await this.#ask(NOT_REMOVED, () => this.#client.send(command));
    if (answer !== undefined && answer !== false && answer.$metadata.httpStatusCode !== 204)
      throw foreign("the answer to a delete is none");
    return answer !== false;
  }

  async removeMany(keys: readonly string[]): Promise<ReadonlyMap<string, Error>> {
    const Delete = { Objects: keys.map((Key) => ({ Key })) }; // not quietly, as the SDK makes the same of a page in HTML
    const command = new this.#sdk.DeleteObjectsCommand({ Bucket: this.#name, Delete });
    const { Deleted = [], Errors = [] } = await this.#send(() => this.#client.send(command));
    if (Deleted.length + Errors.length < keys.length) throw foreign("the answer to a delete does not name all objects");
    return new Map(
      Errors.map(({ Key = "", Code = "Error", Message = "" }) => [Key, this.#failure(Code, Message, 400)] as const),
    );
  }

  async list({ prefix, start, token, delimiter, limit }: ListRequest, abortSignal?: AbortSignal): Promise<Listed> {
    const command = new this.#sdk.ListObjectsV2Command({
      Bucket: this.#name,
      EncodingType: "url",
      MaxKeys: limit,
      Prefix: prefix,
      Delimiter: delimiter,
      ...(token === undefined ? (start === "" ? {} : { StartAfter: start }) : { ContinuationToken: token }),
    });
    const options = abortSignal === undefined ? {} : { abortSignal };
    const answer = await this.#send(() => this.#client.send(command, options));
    if (answer.Name === undefined && answer.KeyCount === undefined) throw foreign("the answer to a listing is none");
    const decoded = answer.EncodingType === "url" ? decodeKey : (text: string) => text;
    return {
      objects: (answer.Contents ?? []).map(({ Key = "", Size = 0, LastModified, ETag }) => ({
        key: decoded(Key),
        size: Size,
        lastModified: inSeconds(LastModified),
        eTag: bareTag(ETag),
      })),
      prefixes: (answer.CommonPrefixes ?? []).map(({ Prefix = "" }) => decoded(Prefix)),
      next: answer.IsTruncated === true ? answer.NextContinuationToken : undefined,
    };
  }

  async presign(method: "GET" | "PUT", key: string, expiresAt: Date): Promise<string> {
    const now = new Date(Math.floor(Date.now() / 1000) * 1000); // signatures know no fractions
    const expiresIn = Math.min(604_800, Math.max(1, (expiresAt.getTime() - now.getTime()) / 1000));
    const { GetObjectCommand, PutObjectCommand } = this.#sdk;
    const command = method === "GET" ? new GetObjectCommand(this.#at(key)) : new PutObjectCommand(this.#at(key));
    return this.#send(() => this.#presigner.getSignedUrl(this.#client, command, { expiresIn, signingDate: now }));
  }

  translate(error: unknown): Error {
    const { name = "Error", message = "", code, $metadata = {} } = error as AwsError;
    if (message === "Region is missing") return this.#failure("NoRegion", message, undefined); // the SDK has no code for it
    return this.#failure(code ?? name, message, $metadata.httpStatusCode, $metadata.requestId);
  }

  close(): void {
    this.#client.destroy();
  }

  async #send<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** @param answers What to answer instead of failing, by status or code. */
  async #ask<T, A>(answers: Readonly<Record<string, A>>, work: () => Promise<T>): Promise<T | A> {
    try {
      return await work();
    } catch (error) {
      const { name = "", $metadata = {} } = error as AwsError;
      const answer = answerTo(answers, name, $metadata.httpStatusCode);
      if (answer !== undefined) return answer.instead;
      throw this.translate(error);
    }
  }

  #failure(code: string, message: string, status: number | undefined, request?: string): Error {
    return failure({ code, message, status, request }, { bucket: `s3://${this.#name}`, login: LOGIN });
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#name, Key: key };
  }
}
