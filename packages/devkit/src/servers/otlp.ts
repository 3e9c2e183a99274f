/**
 * A collector of traces: it takes OTLP over HTTP in protobuf, and keeps what it gets. The messages are those of
 * https://github.com/open-telemetry/opentelemetry-proto, without the fields that nothing here reads.
 */

import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import protobuf from "protobufjs";

export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly kind: "SERVER" | "CLIENT" | "OTHER";
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly resource: Readonly<Record<string, string | number>>;
}

export interface Collector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Of each request that came. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** Everything that came, one character a byte. */
  raw(): string;
  stop(): Promise<void>;
}

const SCHEMA = `
syntax = "proto3";
message Value { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message Pair { string key = 1; Value value = 2; }
message Status { string message = 2; int32 code = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  repeated Pair attributes = 9; Status status = 15;
}
message ScopeSpans { repeated Span spans = 2; }
message Resource { repeated Pair attributes = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Request { repeated ResourceSpans resource_spans = 1; }
`;

interface Pair {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string; readonly doubleValue?: number };
}
interface Batch {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId: string;
        readonly kind: number;
        readonly attributes: readonly Pair[];
        readonly status?: { readonly code: number } | null;
      }[];
    }[];
  }[];
}

/** Starts one on a free port. */
export async function startCollector(): Promise<Collector> {
  const request = protobuf.parse(SCHEMA).root.lookupType("Request");
  const spans: ReceivedSpan[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let raw = "";
  const server = createServer((incoming, answer) => {
    headers.push(incoming.headers);
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      raw += body.toString("latin1");
      const isTraces = incoming.url === "/v1/traces" && incoming.headers["content-type"] === "application/x-protobuf";
      const options = { bytes: String, longs: String, defaults: true, arrays: true } as const;
      if (isTraces) spans.push(...read(request.toObject(request.decode(body), options) as Batch));
      answer.writeHead(isTraces ? 200 : 404).end();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    headers,
    raw: () => raw,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function read({ resourceSpans }: Batch): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        traceId: Buffer.from(span.traceId, "base64").toString("hex"),
        spanId: Buffer.from(span.spanId, "base64").toString("hex"),
        parentSpanId: Buffer.from(span.parentSpanId, "base64").toString("hex"),
        kind: ({ 2: "SERVER", 3: "CLIENT" } as const)[span.kind] ?? "OTHER",
        isError: span.status?.code === 2,
        attributes: record(span.attributes),
        resource: record(resource.attributes),
      })),
    ),
  );
}

function record(pairs: readonly Pair[]): Record<string, string | number> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => [
      key,
      value.intValue === undefined ? (value.stringValue ?? value.doubleValue ?? "") : Number(value.intValue),
    ]),
  );
}
