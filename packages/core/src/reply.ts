/** Replies onto the socket: one `writeHead`, a known length, gzip where it pays. */

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip } from "node:zlib";
import { discardRest } from "./body.ts";
import type { HttpCall } from "./call.ts";
import { errorBody, type MikcarError } from "./errors.ts";
import type { Reply } from "./routes.ts";

const gzipBuffer = promisify(gzip);
const GZIP_FROM_BYTES = 1024;
const ACCEPTS_GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)|[\w.+-]+\/(?:json|javascript|xml|x-ndjson|wasm|[\w.-]+\+(?:json|xml))|image\/svg\+xml)/i;
const JSON_UTF8 = "application/json";
const OCTETS = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

/** Headers that the server adds to every answer of a call: name, value, name, value. */
export type ExtraHeaders = readonly string[];

/** Sends a handler's reply. Rejects when the client leaves, or when the source of a stream fails. */
export async function sendReply(call: HttpCall, reply: Reply, extra: ExtraHeaders): Promise<void> {
  const { body } = reply;
  const status = reply.status ?? 200;
  if (body === undefined) return sendBytes(call, status, reply.headers, undefined, "", extra);
  if (typeof body === "string") return sendText(call, status, reply.headers, body, TEXT, extra);
  if (Buffer.isBuffer(body)) return sendBytes(call, status, reply.headers, body, OCTETS, extra);
  if (isStream(body)) return sendStream(call, status, reply.headers ?? {}, body, extra);
  return sendText(call, status, reply.headers, JSON.stringify(body), JSON_UTF8, extra);
}

/** Sends the JSON of an error, and keeps the connection readable until the client has sent its body. */
export function sendError(call: HttpCall, error: MikcarError, extra: ExtraHeaders): Promise<void> {
  return sendText(call, error.status, error.headers, JSON.stringify(errorBody(error)), JSON_UTF8, extra);
}

/** Drops a reply that nobody waits for any more; a stream in it is closed. */
export async function discardReply(reply: Reply): Promise<void> {
  if (isStream(reply.body)) await reply.body[Symbol.asyncIterator]().return?.();
}

function isStream(body: unknown): body is AsyncIterable<Buffer> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

function sendText(
  call: HttpCall,
  status: number,
  headers: Reply["headers"],
  text: string,
  type: string,
  extra: ExtraHeaders,
): Promise<void> {
  return sendBytes(call, status, headers, Buffer.from(text), type, extra);
}

async function sendBytes(
  call: HttpCall,
  status: number,
  headers: Reply["headers"],
  bytes: Buffer | undefined,
  defaultType: string,
  extra: ExtraHeaders,
): Promise<void> {
  const head = ["X-Trace-Id", call.traceId, ...extra];
  let type = bytes === undefined ? undefined : defaultType;
  let hasLength = false;
  for (const name in headers) {
    const lower = name.toLowerCase();
    if (lower === "content-type") type = headers[name];
    else {
      hasLength ||= lower === "content-length";
      head.push(name, headers[name] as string); // for…in yields keys of this object
    }
  }
  if (type !== undefined) head.push("Content-Type", type);
  let body = bytes;
  if (bytes !== undefined && bytes.length > GZIP_FROM_BYTES && wantsGzip(call, status, type, headers)) {
    body = await gzipBuffer(bytes);
    weakenETag(head);
    head.push("Content-Encoding", "gzip", "Vary", "Accept-Encoding");
  }
  if (!hasLength && status !== 304 && status !== 204) head.push("Content-Length", String(body?.length ?? 0));
  return finish(call, status, head, body);
}

/** Ends the answer; a request whose body is still on its way is read to its end first, or the client sees a reset. */
async function finish(call: HttpCall, status: number, head: string[], body: Buffer | undefined): Promise<void> {
  const { request, response } = call;
  if (request.complete) {
    response.writeHead(status, head);
    response.end(body);
    if (response.writableFinished || response.socket?.writableLength === 0) return;
    return ended(response);
  }
  if (call.awaitsContinue) head.push("Connection", "close");
  response.writeHead(status, head);
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  const isRead = await discardRest(request);
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
  const body = isZipped ? (Readable.from(source).compose(createGzip()) as AsyncIterable<Buffer>) : source;
  for await (const chunk of body) {
    if (response.destroyed) throw clientGone();
    call.touch();
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
  await ended(response);
}

/** Resolves when the response can take more. @throws when the client has gone. */
async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) throw clientGone();
  const gone = new AbortController();
  const onClose = (): void => gone.abort(clientGone());
  response.once("close", onClose);
  try {
    await once(response, "drain", { signal: gone.signal });
  } finally {
    response.off("close", onClose);
  }
}

/** Resolves when the answer has been handed to the system, or its client has gone. */
function ended(response: ServerResponse): Promise<void> {
  if (response.writableFinished || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    response.once("finish", resolve).once("close", resolve);
  });
}

function clientGone(): Error {
  return new Error("the client went away");
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
