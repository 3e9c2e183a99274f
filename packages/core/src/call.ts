/** One request on its way: what a handler may ask of it, and what the dispatcher must know to end it. */

import { isUtf8 } from "node:buffer";
import { randomBytes, randomInt } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ZodType } from "zod";
import { readAll, readStream } from "./body.ts";
import { checkBody, checkQuery } from "./check.ts";
import { badRequest, MikcarError, payloadTooLarge } from "./errors.ts";
import { parseJson } from "./json.ts";
import type { Log } from "./log.ts";
import type { Call } from "./routes.ts";
import type { Caller } from "./callers.ts";
import type { Meter } from "./metrics.ts";
import type { ServerSpan } from "./tracing.ts";

/** What all calls of a server share. */
export interface CallContext {
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
  readonly maxObjectBytes: number;
  /** Where signed URLs point: scheme, host and port; undefined: where the caller reached this server. */
  readonly publicUrl: string | undefined;
  /** Inside an Express application: what the paths to sign begin with, in the place of which the application has its own. */
  readonly mountedAs?: string;
  readonly log: Log;
}

const TRACE_ID = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;
const TRACE_PARENT = /^[\da-f]{2}-(?!0{32})([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/;
const HOST = /^[\w.:[\]-]+$/;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const PROCESS_ID = randomBytes(8).toString("hex");
const FIRST_TRACE = randomInt(2 ** 32);
let traceCount = 0;
const NO_PARAMS: Readonly<Record<string, string | undefined>> = {};

export class HttpCall implements Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Of the trace that is written of it, once there is one. */
  traceId: string;
  /** On the clock of `performance.now()`. */
  readonly startedAt = performance.now();
  /** On the same clock; past it the dispatcher answers 408. */
  deadline: number;
  /** The answer has begun, or the call was given up: whatever the handler still returns is dropped. */
  isAnswered = false;
  params: Readonly<Record<string, string | undefined>> = NO_PARAMS;
  queryString = "";
  /** Set before the handler runs. */
  caller: Caller | undefined;
  canWrite = true;
  /** Where it counts; undefined: nowhere. */
  meter: Meter | undefined;
  /** Undefined: no trace is written of it. */
  span: ServerSpan | undefined;
  /** Of the error that was its answer. */
  errorCode: string | undefined;
  /** The client waits for `100 Continue` before it sends the body. */
  awaitsContinue = false;
  readonly #context: CallContext;
  #abort: AbortController | undefined;
  #ending: AbortController | undefined;
  #onEnding: Set<() => void> | undefined;
  #isEnding = false;

  constructor(request: IncomingMessage, response: ServerResponse, context: CallContext) {
    this.request = request;
    this.response = response;
    this.traceId = traceId(request.headers);
    this.deadline = this.startedAt + context.timeoutMs;
    this.#context = context;
  }

  get headers(): IncomingHttpHeaders {
    return this.request.headers;
  }

  get log(): Log {
    return this.#context.log;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      this.response.once("close", () => {
        if (!this.response.writableFinished) abort.abort(new MikcarError("TIMEOUT", "the client went away"));
      });
    }
    return this.#abort.signal;
  }

  get ending(): AbortSignal {
    if (this.#ending === undefined) {
      const ending = new AbortController();
      this.#ending = ending;
      this.whenEnding(() => ending.abort());
    }
    return this.#ending.signal;
  }

  whenEnding(listener: () => void): () => void {
    if (this.#isEnding || this.response.destroyed) {
      listener();
      return () => undefined;
    }
    if (this.#onEnding === undefined) {
      this.#onEnding = new Set();
      this.response.once("close", () => this.end());
    }
    this.#onEnding.add(listener);
    return () => this.#onEnding?.delete(listener);
  }

  param(name: string): string {
    const value = this.params[name] ?? this.params["*"];
    if (value === undefined) throw new TypeError(`the route has no parameter "${name}"`);
    return value;
  }

  query<T>(schema: ZodType<T>): T {
    return checkQuery(schema, this.queryString);
  }

  async json<T>(schema: ZodType<T>): Promise<T> {
    if (!JSON_TYPE.test(this.headers["content-type"] ?? "")) {
      throw new MikcarError("UNSUPPORTED_MEDIA_TYPE", "send this body with Content-Type: application/json");
    }
    const bytes = await this.bytes();
    if (!isUtf8(bytes)) throw badRequest("the body is not valid UTF-8");
    return checkBody(schema, parseJson(bytes.toString()));
  }

  async bytes(): Promise<Buffer> {
    const { maxBodyBytes } = this.#context;
    this.#beginBody(maxBodyBytes);
    return readAll(this.request, maxBodyBytes, (bytes) => this.receive(bytes));
  }

  stream(): AsyncIterable<Buffer> {
    const { maxObjectBytes } = this.#context;
    this.#beginBody(maxObjectBytes);
    return readStream(this.request, maxObjectBytes, (bytes) => {
      this.receive(bytes);
      this.touch();
    });
  }

  /** Counts bytes of the body against what the caller may send. */
  receive(bytes: number): void {
    this.caller?.receive(bytes);
  }

  confine(name: string): void {
    this.caller?.confine(name);
  }

  signUrl(method: "GET" | "PUT", path: string, expiresAt: Date): string {
    const isTls = "encrypted" in this.request.socket;
    const host = HOST.test(this.headers.host ?? "") ? this.headers.host : "localhost";
    const origin = this.#context.publicUrl ?? `${isTls ? "https" : "http"}://${host}`;
    if (this.caller === undefined) throw new Error("no caller is known before the route is");
    return origin + this.caller.signer.sign(method, this.#mounted(path), expiresAt);
  }

  #mounted(path: string): string {
    const { baseUrl } = this.request as { readonly baseUrl?: string };
    const { mountedAs } = this.#context;
    return baseUrl === undefined || mountedAs === undefined ? path : decodeURI(baseUrl) + path.slice(mountedAs.length);
  }

  /** Progress was made: the time limit starts anew. */
  touch(): void {
    this.extend(0);
  }

  extend(milliseconds: number): void {
    if (this.deadline !== Infinity) this.deadline = performance.now() + this.#context.timeoutMs + milliseconds;
  }

  get timeoutMs(): number {
    return this.#context.timeoutMs;
  }

  /** From now on another process keeps its time limit. */
  leaveTimeToOther(): void {
    this.deadline = Infinity;
  }

  /** From now on this one does again. */
  takeTimeBack(): void {
    this.deadline = performance.now() + this.#context.timeoutMs;
  }

  /** Ends its waiting. */
  end(): void {
    this.#isEnding = true;
    for (const listener of this.#onEnding ?? []) listener();
    this.#onEnding = undefined;
  }

  /** Ends the handler's work. */
  abort(reason: MikcarError): void {
    this.#abort?.abort(reason);
    this.end();
  }

  /** Refuses what is known to be too long before the client is told to send it. */
  #beginBody(limitBytes: number): void {
    const { headers, readableEnded } = this.request;
    const declared = Number(headers["content-length"] ?? 0);
    if (declared > limitBytes) throw payloadTooLarge(limitBytes);
    if (readableEnded && (declared > 0 || headers["transfer-encoding"] !== undefined)) {
      throw new Error("something read the request body first; mount the sidecar before body parsers");
    }
    if (!this.awaitsContinue) return;
    this.awaitsContinue = false;
    this.response.writeContinue();
  }
}

/** The caller's own id, else that of the W3C trace it continues (https://www.w3.org/TR/trace-context/), else a new one. */
function traceId(headers: IncomingHttpHeaders): string {
  const given = headers["x-trace-id"];
  if (typeof given === "string" && TRACE_ID.test(given)) return given;
  const parent = headers["traceparent"];
  const continued = typeof parent === "string" ? TRACE_PARENT.exec(parent)?.[1] : undefined;
  return continued ?? newTraceId();
}

/** 32 hexadecimal digits: half of them random for this process, half counted, as drawing all anew costs more than routing. */
export function newTraceId(): string {
  return PROCESS_ID + (FIRST_TRACE + traceCount++).toString(16).padStart(16, "0");
}
