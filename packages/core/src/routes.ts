/** What a service's routes are made of. A handler takes a call and returns a reply; it never sees the HTTP library. */

import type { IncomingHttpHeaders } from "node:http";
import type { ZodObject, ZodType } from "zod";
import type { ErrorCode } from "./errors.ts";
import type { Log } from "./log.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

export interface Call {
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client goes away and when the request runs out of time. Asking for it has a small cost. */
  readonly signal: AbortSignal;
  /** As `signal`, and aborted when the server begins to drain too: a call that waits for something to happen answers then. */
  readonly ending: AbortSignal;
  /** Calls `listener` once when `ending` would abort, at once if that was before; far lighter than a signal. @returns Forgets it. */
  whenEnding(listener: () => void): () => void;
  /** Under which the log speaks of this call, and which its answer carries as `X-Trace-Id`. */
  readonly traceId: string;
  /** The server's log, for what is worth a line of its own. Give `trace_id` with it; never a body, a value or a secret. */
  readonly log: Log;
  /** Percent-decoded once. A wildcard comes back as the rest of the path. */
  param(name: string): string;
  /** The query parameters, checked. @throws BAD_REQUEST with `details` naming each field. */
  query<T>(schema: ZodType<T>): T;
  /**
   * The JSON body, checked; integers beyond 2^53 are bigints.
   * @throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST (not JSON), UNPROCESSABLE (wrong shape), PAYLOAD_TOO_LARGE.
   */
  json<T>(schema: ZodType<T>): Promise<T>;
  /** The whole body. @throws PAYLOAD_TOO_LARGE beyond MAX_BODY_BYTES. */
  bytes(): Promise<Buffer>;
  /** The body as it arrives. The time limit starts anew with each piece. Throws PAYLOAD_TOO_LARGE beyond MAX_OBJECT_BYTES. */
  stream(): AsyncIterable<Buffer>;
  /** The time limit starts anew, `milliseconds` longer than it is: for a call that waits on purpose. */
  extend(milliseconds: number): void;
  /** False: the caller's token only reads. Where a route is open to reading, and one of its ways is not. */
  readonly canWrite: boolean;
  /** Holds a name that the call uses against the prefix of the caller's token. @throws FORBIDDEN */
  confine(name: string): void;
  /** An absolute URL for `path` that needs no token until `expiresAt`. @param path As in the route, with its prefix, decoded. */
  signUrl(method: "GET" | "PUT", path: string, expiresAt: Date): string;
}

export interface Reply {
  /** 200 when absent. */
  readonly status?: number;
  /** Names in their usual spelling (`Content-Type`): the server looks for some of them. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * A string, a Buffer or a stream of Buffers goes out as it is; anything else as JSON. Absent: an empty body.
   * Of a stream, the server is done with one piece before it asks for the next, so a source may use its buffer again.
   */
  readonly body?: unknown;
  /**
   * Called once when the answer has ended: true when all of it was handed to the system, false when its client had gone
   * before, or was answered in another way. It must not throw.
   */
  readonly onEnd?: (isSent: boolean) => void;
}

export type Handler<B> = (backend: B, call: Call) => Promise<Reply>;

/** What a body is: JSON of a schema, raw bytes, or `text/event-stream`. */
export type BodySpec = ZodType | "bytes" | "events";

/** What a token must allow. */
export type Need = "read" | "write";

/** What a route asks of a token with scopes. */
export interface Access {
  readonly needs: Need;
  /**
   * What is held against the token's prefix: a route parameter (`:key`), the names that the handler gives to `call.confine`,
   * or nothing, as the route uses no names. Absent: it reaches all there is, so a token with a prefix is refused.
   */
  readonly confine?: `:${string}` | "handler" | "nothing";
}

/** A route in words and schemas: what `/openapi.json` and `/docs` are made from. */
export interface Spec {
  readonly summary: string;
  readonly description?: string;
  /** Absent: it needs a scope that writes, and a token without a prefix. */
  readonly access?: Access;
  readonly query?: ZodObject;
  /** Request headers with a meaning here, each with its sentence. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodySpec;
  /** Success by status: a sentence, and the body where there is one. */
  readonly replies: Readonly<Record<number, readonly [description: string, body?: BodySpec]>>;
  /** Codes of the route's own; 401, 408 and the like are everywhere. */
  readonly errors?: readonly ErrorCode[];
}

/** `:name` is one segment, `*name` at the end is the rest of the path, slashes included, and may be empty. */
export type Route<B> = readonly [method: Method, path: string, handler: Handler<B>, spec: Spec];
export type Routes<B> = readonly Route<B>[];

/** As OpenAPI and OpenTelemetry write it: `/kv/get/{key}`. */
export function routeTemplate(path: string): string {
  return path.replaceAll(/[:*](\w+)/g, "{$1}");
}
