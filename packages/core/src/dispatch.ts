/** The hot path: who may pass, which route it is, the handler, the reply. */

import type { IncomingMessage, ServerResponse } from "node:http";
import findMyWay, { type HTTPMethod } from "find-my-way";
import { Gate, type GateOptions } from "./auth.ts";
import { type CallContext, HttpCall } from "./call.ts";
import type { Caller } from "./callers.ts";
import { badRequest, isMikcarError, MikcarError, notFound, timeout, unauthorized } from "./errors.ts";
import { CLIENT_GONE, type Meter, type Metrics } from "./metrics.ts";
import { HEALTHY } from "./own.ts";
import { discardReply, type ExtraHeaders, reportEnd, sendError, sendReply } from "./reply.ts";
import { type Access, type Call, type Method, type Reply, routeTemplate } from "./routes.ts";
import type { Sidecar } from "./service.ts";
import type { Tracing } from "./tracing.ts";

export interface Mount {
  /** `/kv`, or empty for the root. */
  readonly prefix: string;
  readonly sidecar: Pick<Sidecar, "routes">;
  /** For scopes; undefined: open to any token. */
  readonly service?: string;
}

export interface DispatcherOptions extends GateOptions, CallContext {
  /** Absent: nothing is counted. */
  readonly metrics?: Metrics | undefined;
  /** `GET /metrics` needs no token. */
  readonly metricsPublic?: boolean;
  /** `GET /ready` needs no token. */
  readonly readyPublic?: boolean;
  /** Absent: no traces are written. */
  readonly tracing?: Tracing | undefined;
}

/** What happens with a call that no route matches: undefined when it was handed on. @param headers For its answer. */
export type Miss = (call: HttpCall, headers: ExtraHeaders) => Reply | Promise<Reply> | undefined;

/** What holds when nothing is said. */
export const DEFAULTS = {
  timeoutMs: 30_000,
  maxBodyBytes: 10_485_760,
  maxObjectBytes: 5_368_709_120,
  drainMs: 10_000,
} as const;

interface Target {
  readonly handle: (call: Call) => Promise<Reply>;
  readonly service: string | undefined;
  readonly access: Access;
  readonly route: string;
  readonly meter: Meter | undefined;
}

/** Of a route that says nothing. */
const STRICTEST: Access = { needs: "write" };

const METHODS: readonly Method[] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
const CORS_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, Range, X-Trace-Id, Idempotency-Key";
const NO_HEADERS: ExtraHeaders = [];

export class Dispatcher {
  readonly #router = findMyWay({
    maxParamLength: 64 * 1024, // a key's own limit is checked where it is understood
    querystringParser: (text) => text as unknown as Record<string, string>, // parsed only when a handler asks
    onBadUrl: () => undefined,
  });
  readonly #gate: Gate;
  readonly #options: DispatcherOptions;
  readonly #open = new Set<HttpCall>();
  readonly #sweeper: NodeJS.Timeout;
  #onIdle: (() => void) | undefined;
  #isClosing = false;

  constructor(mounts: readonly Mount[], options: DispatcherOptions) {
    this.#options = options;
    this.#gate = new Gate(options);
    for (const { prefix, sidecar, service } of mounts) {
      for (const { method, path, handle, spec } of sidecar.routes) {
        const pattern = prefix + path.replace(/\*\w+$/, "*");
        const route = routeTemplate(prefix + path);
        const meter = options.metrics?.meter(service ?? "server", method, route);
        const target: Target = { handle, service, access: spec.access ?? STRICTEST, route, meter };
        this.#router.on(method as HTTPMethod, pattern, () => undefined, target);
      }
    }
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(1000, Math.max(10, options.timeoutMs / 10)));
    this.#sweeper.unref();
  }

  /** How many calls are under way. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Takes a request to its answer. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse, miss: Miss, awaitsContinue = false): void {
    const call = new HttpCall(request, response, this.#options);
    call.awaitsContinue = awaitsContinue;
    this.#open.add(call);
    if (this.#isClosing) call.end();
    void this.#run(call, miss);
  }

  /** Answers from now on close their connection, and calls that wait are ended. Resolves when no call is open. */
  drain(): Promise<void> {
    this.#isClosing = true;
    for (const call of this.#open) call.end();
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Ends every open call. */
  stop(): void {
    clearInterval(this.#sweeper);
    for (const call of this.#open) this.#giveUp(call, timeout("the server is stopping"));
  }

  async #run(call: HttpCall, miss: Miss): Promise<void> {
    try {
      const answer = this.#answer(call, miss);
      const reply = answer instanceof Promise ? await answer : answer;
      if (reply === undefined) return;
      const sending = this.#send(call, reply);
      if (sending !== undefined) await sending;
    } catch (error) {
      await this.#fail(call, error);
    } finally {
      this.#record(call);
      this.#open.delete(call);
      if (this.#open.size === 0) this.#onIdle?.();
    }
  }

  #answer(call: HttpCall, miss: Miss): Reply | Promise<Reply> | undefined {
    const { request } = call;
    const url = request.url ?? "";
    const method = request.method as HTTPMethod;
    if (isOwn(url, "/health") && (method === "GET" || method === "HEAD")) {
      call.meter = this.#options.metrics?.meter("server", method, "/health");
      return HEALTHY;
    }
    call.span = this.#options.tracing?.begin(call);
    const preflight = method === "OPTIONS" ? this.#preflight(call) : undefined;
    if (preflight !== undefined) return preflight;
    if (request.headers.host === undefined && request.httpVersion === "1.1")
      throw badRequest("the Host header is missing");
    const caller = this.#isPublic(url) ? undefined : this.#gate.admit(request);
    call.caller = caller;

    const found = this.#router.find(method, url);
    if (found === null) return this.#miss(call, miss);
    if (found.store === null)
      throw badRequest("the path has a % that is not followed by two hexadecimal digits of UTF-8");
    call.params = found.params;
    call.queryString = found.searchParams as unknown as string;
    const target = found.store as Target;
    call.meter = target.meter;
    if (caller?.isUnlimited === false) allow(caller, target, call);
    if (call.span === undefined) return target.handle(call);
    call.span.route(target.service ?? "server", target.route);
    return call.span.run(() => target.handle(call));
  }

  #isPublic(url: string): boolean {
    const { metricsPublic, readyPublic } = this.#options;
    return (metricsPublic === true && isOwn(url, "/metrics")) || (readyPublic === true && isOwn(url, "/ready"));
  }

  #miss(call: HttpCall, miss: Miss): Reply | Promise<Reply> | undefined {
    const { method, url = "" } = call.request;
    const allowed = METHODS.filter((other) => this.#router.find(other, url)?.store != null);
    if (allowed.length === 0) return miss(call, ["X-Trace-Id", call.traceId, ...this.#extraHeaders(call)]);
    throw methodNotAllowed(method ?? "", allowed);
  }

  #preflight({ request: { headers } }: HttpCall): Reply | undefined {
    const wanted = headers["access-control-request-method"];
    if (wanted === undefined || this.#gate.corsOrigin(headers.origin) === undefined) return undefined;
    return {
      status: 204,
      headers: {
        "Access-Control-Allow-Methods": METHODS.join(", "),
        "Access-Control-Allow-Headers": headers["access-control-request-headers"] ?? CORS_HEADERS,
        "Access-Control-Max-Age": "600",
      },
    };
  }

  #extraHeaders({ request: { headers } }: HttpCall): ExtraHeaders {
    const { corsOrigins } = this.#options;
    if (corsOrigins.length === 0 && !this.#isClosing) return NO_HEADERS;
    const extra = this.#isClosing ? ["Connection", "close"] : [];
    const origin = this.#gate.corsOrigin(headers.origin);
    if (origin !== undefined) extra.push("Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", "*");
    if (corsOrigins.length > 0) extra.push("Vary", "Origin");
    return extra;
  }

  #send(call: HttpCall, reply: Reply): Promise<void> | undefined {
    if (call.isAnswered || call.response.destroyed) return discardReply(reply);
    call.isAnswered = true;
    if (reply.onEnd !== undefined) reportEnd(call.response, reply.onEnd);
    const sending = sendReply(call, reply, this.#extraHeaders(call));
    if (this.#options.log.isLevelEnabled("debug")) this.#logCall(call);
    return sending;
  }

  async #fail(call: HttpCall, thrown: unknown): Promise<void> {
    const error = isMikcarError(thrown) ? thrown : new MikcarError("INTERNAL_ERROR", String(thrown), { cause: thrown });
    const isOver = call.response.destroyed || call.isAnswered;
    if (error.status >= 500 && !(isOver && call.response.destroyed)) this.#logFailure(call, error);
    if (call.response.headersSent) call.response.destroy(); // half an answer: only a broken connection tells the truth
    if (isOver) return;
    call.isAnswered = true;
    call.errorCode = error.code;
    await sendError(call, error, this.#extraHeaders(call));
    if (this.#options.log.isLevelEnabled("debug")) this.#logCall(call);
  }

  /** Into the metrics and the trace. */
  #record(call: HttpCall): void {
    const { headersSent, statusCode } = call.response;
    const status = headersSent ? statusCode : CLIENT_GONE;
    const code = headersSent ? call.errorCode : undefined; // of an answer that nobody got
    call.span?.end(status, code);
    const meter = call.meter ?? this.#options.metrics?.meter("server", call.request.method ?? "", undefined);
    meter?.add(status, code, (performance.now() - call.startedAt) / 1000);
  }

  #sweep(): void {
    const now = performance.now();
    for (const call of this.#open) {
      if (call.deadline <= now) this.#giveUp(call, timeout("the request did not end in time"));
      else if (call.caller?.isRevoked === true) this.#giveUp(call, unauthorized("the token is not valid any more"));
    }
  }

  #giveUp(call: HttpCall, reason: MikcarError): void {
    call.abort(reason);
    call.touch(); // time for the answer to reach the client; then the connection is cut
    if (!call.isAnswered) void this.#fail(call, reason);
    else if (!call.response.writableFinished) call.response.destroy();
  }

  #logCall({ request, response, traceId }: HttpCall): void {
    const path = (request.url ?? "").split("?", 1)[0];
    this.#options.log.debug({ trace_id: traceId, method: request.method, path, status: response.statusCode }, "call");
  }

  #logFailure({ request, traceId }: HttpCall, error: MikcarError): void {
    const path = (request.url ?? "").split("?", 1)[0];
    this.#options.log.error(
      { trace_id: traceId, method: request.method, path, code: error.code, err: error },
      "call failed",
    );
  }
}

/** @throws FORBIDDEN when the caller's token does not open this route, or this name. */
function allow(caller: Caller, { service, access }: Target, call: HttpCall): void {
  if (service === undefined) return;
  caller.allow(service, access);
  call.canWrite = caller.canWrite(service);
  if (access.confine?.startsWith(":") === true) caller.confine(call.param(access.confine.slice(1)));
}

/** Whether `url` is for a route of the server itself, whatever its query. */
function isOwn(url: string, path: string): boolean {
  return url.startsWith(path) && (url.length === path.length || url[path.length] === "?");
}

/** @param allowed What the resource does answer to; sent as `Allow`. */
export function methodNotAllowed(method: string, allowed: readonly string[]): MikcarError {
  const list = allowed.join(", ");
  return new MikcarError("METHOD_NOT_ALLOWED", `${method} is not possible here; use ${list}`, {
    headers: { Allow: list },
  });
}

/** The answer to a path that nothing serves. */
export function noRoute(url: string | undefined): MikcarError {
  return notFound(`no route ${(url ?? "").split("?", 1)[0]}; GET /docs lists those there are`);
}
