/**
 * Traces over OTLP (https://opentelemetry.io/docs/specs/otlp/): a server span for each call but `/health`, a client span for
 * each call to its backend. This module is loaded only when an endpoint is set. Names and attributes follow the conventions
 * of OpenTelemetry; no body, name, query or word of an error is in a span.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ClientRequest, IncomingHttpHeaders } from "node:http";
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { HttpCall } from "./call.ts";
import type { Env } from "./env.ts";
import { isMikcarError } from "./errors.ts";
import { sampler } from "./sampler.ts";
import { VERSION } from "./version.ts";

/** Told by Node, and by its fetch, while headers can still be added. */
const HTTP_CREATED = "http.client.request.created";
const FETCH_CREATED = "undici:request:create";
/** The last spans must not hold up the end of the process. */
const FLUSH_MS = 3000;

const propagator = new W3CTraceContextPropagator();
const ofHeaders = {
  get: (headers: IncomingHttpHeaders, name: string) => headers[name],
  keys: (headers: IncomingHttpHeaders) => Object.keys(headers),
};

/** The span of a call. */
export interface ServerSpan {
  /** As soon as they are known. */
  route(service: string, route: string): void;
  /** Runs the handler; what it asks of its backend becomes part of the span. */
  run<T>(work: () => T): T;
  /** @param code Of the error that was answered. */
  end(status: number, code: string | undefined): void;
}

export class Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #current = new AsyncLocalStorage<Context | undefined>();
  /** Backends, and objects in them, with their stand-ins. */
  readonly #around = new WeakMap<object, object>();

  /** @param url Where spans go, `/v1/traces` included. @throws CONFIG_ERROR for a sampler that is not known. */
  constructor(url: string, env: Env) {
    const own = resourceFromAttributes({ "service.name": "mikcar", "service.version": VERSION });
    const resource = defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] }));
    const processor = new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) });
    this.#provider = new TracerProvider({ resource, sampler: sampler(env), spanProcessors: [processor] });
    this.#tracer = this.#provider.getTracer("mikcar", VERSION);
    subscribe(HTTP_CREATED, this.#passOn);
    subscribe(FETCH_CREATED, this.#passOnByFetch);
  }

  /** Begins the span of a call, in the trace of its `traceparent`. A call that brings no id of its own gets the trace's. */
  begin(call: HttpCall): ServerSpan {
    const { method = "", headers, httpVersion, socket } = call.request;
    const parent = propagator.extract(ROOT_CONTEXT, headers, ofHeaders);
    const attributes = {
      "http.request.method": method,
      "url.scheme": "encrypted" in socket ? "https" : "http",
      "network.protocol.version": httpVersion,
    };
    const span = this.#tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, parent);
    if (headers["x-trace-id"] === undefined) call.traceId = span.spanContext().traceId;
    else span.setAttribute("mikcar.trace_id", call.traceId);
    return {
      route: (service, route) => {
        span.updateName(`${method} ${route}`).setAttributes({ "http.route": route, "mikcar.service": service });
      },
      run: (work) => this.#current.run(trace.setSpan(parent, span), work),
      end: (status, code) => {
        span.setAttribute("http.response.status_code", status);
        if (code !== undefined) span.setAttribute("error.type", code);
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        this.#end(span);
      },
    };
  }

  /** A stand-in for a backend: each of its calls, and of objects in it, is a client span of the call that it is for. */
  around<B extends object>(backend: B, service: string, scheme: string): B {
    const known = this.#around.get(backend);
    if (known !== undefined) return known as B; // made of the same object
    const methods = new Map<unknown, unknown>();
    const standIn = new Proxy(backend, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (isPart(value)) return this.around(value, service, scheme);
        if (typeof value !== "function" || typeof name !== "string") return value;
        const method = methods.get(value) ?? this.#spanned(`${service}.${name}`, scheme, value.bind(target));
        methods.set(value, method);
        return method;
      },
    });
    this.#around.set(backend, standIn);
    return standIn;
  }

  /** Sends what is there, for at most 3 s; a collector that is away loses it. */
  async close(): Promise<void> {
    unsubscribe(HTTP_CREATED, this.#passOn);
    unsubscribe(FETCH_CREATED, this.#passOnByFetch);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, FLUSH_MS);
    await Promise.race([this.#provider.shutdown().catch(() => undefined), late.promise]);
    clearTimeout(timer);
  }

  /** What does not answer with a promise touches no backend: its span never ends, and so is never sent. */
  #spanned(name: string, scheme: string, work: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
    const attributes = { "mikcar.backend": scheme };
    return (...args) => {
      const parent = this.#current.getStore();
      if (parent === undefined) return work(...args);
      const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent);
      const result = this.#current.run(trace.setSpan(parent, span), () => work(...args));
      if (result instanceof Promise)
        result.then(
          () => this.#end(span),
          (error: unknown) => this.#end(span, error),
        );
      return result;
    };
  }

  /** Outside of all calls: it starts the clock by which spans are sent, and sending is part of no trace. */
  #end(span: Span, error?: unknown): void {
    if (error !== undefined) fail(span, error);
    this.#current.run(undefined, () => span.end());
  }

  readonly #passOn = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest }; // as Node documents this channel
    const context = this.#current.getStore();
    if (context === undefined || request.headersSent) return;
    propagator.inject(context, request, { set: (to, name, value) => void to.setHeader(name, value) });
  };

  readonly #passOnByFetch = (message: unknown): void => {
    const { request } = message as { readonly request: { addHeader(name: string, value: string): void } }; // as above
    const context = this.#current.getStore();
    if (context === undefined) return;
    propagator.inject(context, request, { set: (to, name, value) => to.addHeader(name, value) });
  };
}

function isPart(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Promise);
}

/** With its code only: the words of an error may hold what callers sent. */
function fail(span: Span, error: unknown): void {
  span.setAttribute("error.type", isMikcarError(error) ? error.code : "INTERNAL_ERROR");
  span.setStatus({ code: SpanStatusCode.ERROR });
}
