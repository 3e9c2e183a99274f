/** Replies onto the socket: one `writeHead`, a known length, gzip where it pays. */

import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import type * as Zlib from "node:zlib";
import { discardRest } from "./body.ts";
import type { HttpCall } from "./call.ts";
import { errorBody, MikcarError } from "./errors.ts";
import type { Reply } from "./routes.ts";

/** Loaded with the first answer that is zipped. */
const zlib = (): typeof Zlib => process.getBuiltinModule("node:zlib");
const GZIP_FROM_BYTES = 1024;
/** Up to this size header and body leave as one string in one write; latin1 maps bytes one to one. */
const ONE_WRITE_BYTES = 16_384;
const ACCEPTS_GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)|[\w.+-]+\/(?:json|javascript|xml|x-ndjson|wasm|[\w.-]+\+(?:json|xml))|image\/svg\+xml)/i;
const JSON_UTF8 = "application/json";
const OCTETS = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

/** Headers that the server adds to every answer of a call: name, value, name, value. */
export type ExtraHeaders = readonly string[];

/** Sends a handler's reply. Nothing to wait for: undefined. Rejects when the client leaves, or the source of a stream fails. */
export function sendReply(call: HttpCall, reply: Reply, extra: ExtraHeaders): Promise<void> | undefined {
  const { body, headers } = reply;
  const status = reply.status ?? 200;
  if (typeof body === "string") return sendWhole(call, status, headers, body, TEXT, extra);
  if (Buffer.isBuffer(body)) return sendWhole(call, status, headers, body, OCTETS, extra);
  if (body === undefined) return sendWhole(call, status, headers, undefined, undefined, extra);
  if (isStream(body)) return sendStream(call, status, headers ?? {}, body, extra);
  return sendWhole(call, status, headers, JSON.stringify(body), JSON_UTF8, extra);
}

/** Sends the JSON of an error, and keeps the connection readable until the client has sent its body. */
export function sendError(call: HttpCall, error: MikcarError, extra: ExtraHeaders): Promise<void> | undefined {
  return sendWhole(call, error.status, error.headers, JSON.stringify(errorBody(error)), JSON_UTF8, extra);
}

/**
 * Tells how the answer ends. `finish` comes only when the system has taken every byte; `writableFinished` says less. Before
 * Node 24.20 it came too when the client had reset the connection.
 */
export function reportEnd(response: ServerResponse, onEnd: (isSent: boolean) => void): void {
  const { socket } = response;
  const onFinish = (): void => {
    response.off("close", onClose);
    onEnd((socket?.errored ?? null) === null);
  };
  const onClose = (): void => {
    response.off("finish", onFinish);
    onEnd(false);
  };
  response.once("finish", onFinish).once("close", onClose);
}

/** Drops a reply that nobody waits for any more; a stream in it is closed. */
export async function discardReply(reply: Reply): Promise<void> {
  reply.onEnd?.(false);
  if (isStream(reply.body)) await reply.body[Symbol.asyncIterator]().return?.();
}

function isStream(body: unknown): body is AsyncIterable<Buffer> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

function sendWhole(
  call: HttpCall,
  status: number,
  headers: Reply["headers"],
  body: string | Buffer | undefined,
  defaultType: string | undefined,
  extra: ExtraHeaders,
): Promise<void> | undefined {
  const head = ["X-Trace-Id", call.traceId];
  let type = defaultType;
  let hasLength = status === 304 || status === 204;
  for (const name in headers) {
    const value = headers[name] as string; // for…in yields keys of this object
    if (name === "Content-Type") type = value;
    else {
      hasLength ||= name === "Content-Length";
      head.push(name, value);
    }
  }
  if (type !== undefined) head.push("Content-Type", type);
  if (extra.length > 0) head.push(...extra);
  const size = body === undefined ? 0 : Buffer.byteLength(body);
  if (size > GZIP_FROM_BYTES && body !== undefined && wantsGzip(call, status, type, headers)) {
    return sendZipped(call, status, head, body);
  }
  if (!hasLength) head.push("Content-Length", String(size));
  return finish(call, status, head, body, size);
}

async function sendZipped(call: HttpCall, status: number, head: string[], body: string | Buffer): Promise<void> {
  const small = await promisify(zlib().gzip)(body);
  if (call.response.destroyed) throw clientGone();
  const length = head.indexOf("Content-Length"); // the handler's, of what is not sent now
  if (length !== -1) head.splice(length, 2);
  weakenETag(head);
  head.push("Content-Encoding", "gzip", "Vary", "Accept-Encoding", "Content-Length", String(small.length));
  return finish(call, status, head, small, small.length);
}

/** Ends the answer. A request whose body is still on its way is read to its end first, or the client sees a reset. */
function finish(
  call: HttpCall,
  status: number,
  head: string[],
  body: string | Buffer | undefined,
  size: number,
): Promise<void> | undefined {
  const { request, response } = call;
  if (!request.complete) return finishEarly(call, status, head, body);
  response.writeHead(status, head);
  if (body === undefined) response.end();
  else if (size > ONE_WRITE_BYTES) response.end(body);
  else if (typeof body !== "string") response.end(body.toString("latin1"), "latin1");
  else response.end(body, size === body.length ? "latin1" : "utf8");
  return response.writableFinished || response.socket?.writableLength === 0 ? undefined : ended(response);
}

async function finishEarly(
  call: HttpCall,
  status: number,
  head: string[],
  body: string | Buffer | undefined,
): Promise<void> {
  const { request, response, awaitsContinue } = call;
  if (awaitsContinue) head.push("Connection", "close");
  response.writeHead(status, head);
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  const isRead = await discardRest(request, (bytes) => call.receive(bytes));
  response.end();
  await ended(response);
  if (!isRead) request.socket.destroy();
}

async function sendStream(
  call: HttpCall,
  status: number,
  headers: Readonly<Record<string, string>>,
  source: AsyncIterable<Buffer>,
  extra: ExtraHeaders,
): Promise<void> {
  const { response } = call;
  const head = ["X-Trace-Id", call.traceId, ...extra];
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const length = Number(named.get("content-length") ?? Infinity);
  const isZipped = length > GZIP_FROM_BYTES && wantsGzip(call, status, named.get("content-type"), headers);
  for (const [name, value] of Object.entries(headers)) {
    if (!(isZipped && name.toLowerCase() === "content-length")) head.push(name, value);
  }
  if (!named.has("content-type")) head.push("Content-Type", OCTETS);
  if (isZipped) {
    weakenETag(head);
    head.push("Content-Encoding", "gzip", "Vary", "Accept-Encoding");
  }
  response.writeHead(status, head);
  for await (const chunk of isZipped ? zipped(source) : source) {
    if (response.destroyed) throw clientGone();
    call.touch();
    await written(response, chunk);
  }
  response.end();
  await ended(response);
}

/**
 * Resolves when `chunk` may be used for something else. @throws when the other end has gone: of a write that is under way
 * when the socket ends, an answer only tells that it is closed.
 */
export function written(stream: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(clientGone());
    stream.once("close", onClose);
    stream.write(chunk, (error) => {
      stream.off("close", onClose);
      if (error) onClose();
      else resolve();
    });
  });
}

async function* zipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gzip = zlib().createGzip();
  const feed = async (): Promise<void> => {
    for await (const chunk of source) await written(gzip, chunk);
    gzip.end();
  };
  feed().catch((error: Error) => gzip.destroy(error)); // which the loop below throws on
  yield* gzip as AsyncIterable<Buffer>;
}

/** Resolves when the answer has been handed to the system, or its client has gone. */
function ended(response: ServerResponse): Promise<void> {
  if (response.writableFinished || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    response.once("finish", resolve).once("close", resolve);
  });
}

function clientGone(): Error {
  return new MikcarError("TIMEOUT", "the client went away");
}

function wantsGzip(call: HttpCall, status: number, type: string | undefined, headers: Reply["headers"]): boolean {
  if (status === 206 || call.request.method === "HEAD" || type === undefined || !COMPRESSIBLE.test(type)) return false;
  const accepted = call.headers["accept-encoding"];
  if (accepted === undefined || !ACCEPTS_GZIP.test(accepted)) return false;
  return !/no-transform/i.test(headers?.["Cache-Control"] ?? "");
}

/** The zipped bytes are another representation, equal in meaning: RFC 9110, 8.8.1. */
function weakenETag(head: string[]): void {
  const at = head.indexOf("ETag");
  const tag = head[at + 1];
  if (at !== -1 && tag?.startsWith('"')) head[at + 1] = `W/${tag}`;
}
