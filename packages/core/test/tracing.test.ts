/** Traces, as a collector gets them over OTLP. */

import { Agent, createServer, get, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, type Collector, type ReceivedSpan, startCollector, until } from "@mikcar/devkit";
import {
  type Backend,
  createLog,
  defineService,
  type Routes,
  type Server,
  SidecarBuilder,
  unavailable,
} from "../src/index.ts";
import { tracesUrl } from "../src/otlp.ts";
import { sampler } from "../src/sampler.ts";

interface FarBackend extends Backend {
  readonly inner: { deep(): Promise<string> };
  byHttp(): Promise<string>;
  byFetch(): Promise<string>;
  fail(): Promise<never>;
}

const spec = { summary: "For tests", replies: { 200: ["Something", "bytes"] } } as const;
const routes: Routes<FarBackend> = [
  ["GET", "/http/:name", async (far) => ({ body: await far.byHttp() }), spec],
  ["GET", "/fetch", async (far) => ({ body: await far.byFetch() }), spec],
  ["GET", "/deep", async (far) => ({ body: await far.inner.deep() }), spec],
  ["GET", "/fail", async (far) => far.fail(), spec],
];

class Far implements FarBackend {
  readonly #url: string;
  readonly inner = { deep: async () => "deep" };

  constructor(url: string) {
    this.#url = url;
  }

  byHttp(): Promise<string> {
    return new Promise((resolve) => get(this.#url, (answer) => answer.resume().on("end", () => resolve("http"))));
  }

  async byFetch(): Promise<string> {
    await (await fetch(this.#url)).text();
    return "fetch";
  }

  fail(): Promise<never> {
    return Promise.reject(unavailable("secret-of-the-backend"));
  }

  async ping(): Promise<void> {}
  async close(): Promise<void> {}
}

const FarService = defineService<FarBackend>({
  name: "far",
  env: "FAR_URL",
  summary: "Asks another server",
  routes,
  backends: {},
  embedded: () => "far:",
});

let collector: Collector;
let server: Server;
let other: ReturnType<typeof createServer>;
let asked: IncomingHttpHeaders[];

beforeEach(async () => {
  asked = [];
  collector = await startCollector();
  other = createServer((request, response) => {
    asked.push(request.headers);
    response.end("there");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  server = await new SidecarBuilder()
    .port(0)
    .log(await createLog("silent"))
    .traces(`${collector.url}/v1/traces`)
    .add(FarService.fromBackend(new Far(`http://127.0.0.1:${(other.address() as AddressInfo).port}`)))
    .serve();
});
afterEach(async () => {
  await server.close();
  await collector.stop();
  other.closeAllConnections();
  await new Promise((resolve) => other.close(resolve));
});

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const traceparent = `00-${TRACE}-${PARENT}-01`;

/** Closing the server sends what it still has. */
async function spans(): Promise<readonly ReceivedSpan[]> {
  await server.close();
  return collector.spans;
}

it("continues the caller's trace, and passes it on to the backend", async () => {
  const answer = await ask(server.url ?? "", "/far/http/secret-name?q=secret-query", {
    headers: { traceparent, tracestate: "vendor=1" },
  });
  const [client, call] = await spans();

  expect(answer.headers["x-trace-id"]).toBe(TRACE);
  expect(call).toMatchObject({
    name: "GET /far/http/{name}",
    kind: "SERVER",
    traceId: TRACE,
    parentSpanId: PARENT,
    isError: false,
    resource: { "service.name": "mikcar" },
    attributes: {
      "http.request.method": "GET",
      "http.route": "/far/http/{name}",
      "http.response.status_code": 200,
      "mikcar.service": "far",
    },
  });
  expect(client).toMatchObject({ name: "far.byHttp", kind: "CLIENT", traceId: TRACE, parentSpanId: call?.spanId });
  expect(asked[0]?.["traceparent"]).toBe(`00-${TRACE}-${client?.spanId}-01`);
  expect(asked[0]?.["tracestate"]).toBe("vendor=1");
  expect(collector.raw()).not.toMatch(/secret/);
});

it("passes it on by fetch as well, and to objects within a backend", async () => {
  await ask(server.url ?? "", "/far/fetch", { headers: { traceparent } });
  await ask(server.url ?? "", "/far/deep", { headers: { traceparent } });
  const names = (await spans()).map(({ name }) => name);

  expect(asked[0]?.["traceparent"]).toMatch(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-01$`));
  expect(names).toEqual(["far.byFetch", "GET /far/fetch", "far.deep", "GET /far/deep"]);
});

it("begins a trace for a call that brings none, and keeps the id that it does bring", async () => {
  const anew = await ask(server.url ?? "", "/far/deep");
  const own = await ask(server.url ?? "", "/far/deep", { headers: { "X-Trace-Id": "mine" } });
  const [, first, , second] = await spans();

  expect(first).toMatchObject({ traceId: anew.headers["x-trace-id"], parentSpanId: "" });
  expect(own.headers["x-trace-id"]).toBe("mine");
  expect(second?.attributes["mikcar.trace_id"]).toBe("mine");
});

it("sends spans outside of the traces that they are of", async () => {
  const agent = new Agent({ keepAlive: true });
  await ask(server.url ?? "", "/far/nowhere", { agent });
  // A full batch of 512 is sent at once: by the span of a backend, which is the first of the two of a call.
  for (let call = 0; call < 256; call++) await ask(server.url ?? "", "/far/deep", { agent });
  agent.destroy();
  await until("it is sent", () => collector.headers.length > 0);

  expect(collector.headers[0]?.["traceparent"]).toBeUndefined();
});

it("tells of errors by their code alone", async () => {
  await ask(server.url ?? "", "/far/fail");
  await ask(server.url ?? "", "/far/nowhere");
  const [client, failed, missed] = await spans();

  expect(client).toMatchObject({ name: "far.fail", isError: true, attributes: { "error.type": "UNAVAILABLE" } });
  expect(failed).toMatchObject({
    isError: true,
    attributes: { "http.response.status_code": 503, "error.type": "UNAVAILABLE" },
  });
  expect(missed).toMatchObject({ name: "GET", isError: false, attributes: { "error.type": "NOT_FOUND" } });
  expect(collector.raw()).not.toMatch(/secret/);
});

it("says nothing of health checks, and of what the caller does not sample", async () => {
  await ask(server.url ?? "", "/health");
  await ask(server.url ?? "", "/far/http/a", { headers: { traceparent: `00-${TRACE}-${PARENT}-00` } });

  expect(await spans()).toEqual([]);
  expect(asked[0]?.["traceparent"]).toMatch(/-00$/);
});

it("does without a collector that is away", async () => {
  await collector.stop();

  expect((await ask(server.url ?? "", "/far/deep")).text).toBe("deep");
  await server.close();
});

it.each([
  [{}, undefined],
  [{ OTLP_ENDPOINT: "http://c:4318/" }, "http://c:4318/v1/traces"],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/otel" }, "https://c/otel/v1/traces"],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://d/x" }, "http://d/x"],
  [{ OTLP_ENDPOINT: "http://c", OTEL_SDK_DISABLED: "true" }, undefined],
])("reads %j", (env, url) => {
  expect(tracesUrl(env)).toBe(url);
});

it.each([
  [() => tracesUrl({ OTLP_ENDPOINT: "collector:4317" }), "OTLP_ENDPOINT: expected a URL such as http://localhost:4318"],
  [
    () => tracesUrl({ OTLP_ENDPOINT: "http://c", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }),
    'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"; known: http/protobuf (collectors take it on port 4318)',
  ],
  [() => sampler({ OTEL_TRACES_SAMPLER: "some" }), /OTEL_TRACES_SAMPLER is "some"; known: always_on, /],
  [() => sampler({ OTEL_TRACES_SAMPLER: "constructor" }), /OTEL_TRACES_SAMPLER is "constructor"; known: /],
  [() => sampler({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }), /from 0 to 1/],
])("refuses what it does not know: %#", (read, message) => {
  expect(read).toThrow(message);
});
