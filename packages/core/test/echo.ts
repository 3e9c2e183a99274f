/** A service for tests: it has a route for each way a request can go. */

import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import {
  type Backend,
  type Call,
  createLog,
  defineService,
  eventReply,
  type Log,
  type Reply,
  type Routes,
  type Server,
  type ServerEvent,
  type Service,
  SidecarBuilder,
  unavailable,
} from "../src/index.ts";

export interface EchoBackend extends Backend {
  /** What became of the calls that wait: `aborted` or `finished`. */
  readonly events: string[];
}

const numbers = z.object({ numbers: z.array(z.int()), note: z.string().optional() });
const query = z.object({ n: z.string().regex(/^\d+$/, "expected a number").optional() });
const anything = { summary: "For tests", replies: { 200: ["Something", "bytes"] } } as const;
const takesBytes = { ...anything, body: "bytes" } as const;

export const routes: Routes<EchoBackend> = [
  ["GET", "/param/:name", async (_echo, call) => ({ body: call.param("name") }), anything],
  ["GET", "/rest/*path", async (_echo, call) => ({ body: call.param("path") }), anything],
  ["GET", "/query", async (_echo, call) => ({ body: call.query(query) }), { ...anything, query }],
  ["POST", "/json", async (_echo, call) => ({ body: text(await call.json(numbers)) }), { ...anything, body: numbers }],
  ["POST", "/bytes", async (_echo, call) => ({ body: await call.bytes() }), takesBytes],
  ["PUT", "/stream", async (_echo, call) => ({ body: { size: await count(call.stream()) } }), takesBytes],
  ["POST", "/nothing", async () => ({ body: { done: true } }), anything],
  ["GET", "/repeat/:count", async (_echo, call) => ({ body: "x".repeat(Number(call.param("count"))) }), anything],
  ["GET", "/many/:count", async (echo, call) => many(echo, Number(call.param("count"))), anything],
  ["GET", "/crash", async () => Promise.reject(new Error("secret-of-the-backend at 10.0.0.7")), anything],
  ["GET", "/away", async () => Promise.reject(unavailable("secret-of-the-backend")), anything],
  ["GET", "/half", async () => ({ body: half() }), anything],
  ["GET", "/wait", async (echo, call) => ({ body: await wait(echo, call.signal) }), anything],
  ["GET", "/slow", async () => ({ body: await sleep(60, "slow") }), anything],
  ["GET", "/poll", async (echo, call) => poll(echo, call), anything],
  ["GET", "/told/:count", async (echo, call) => told(echo, Number(call.param("count"))), anything],
  ["GET", "/read/:name", async () => ({ body: "read" }), { ...anything, access: { needs: "read", confine: ":name" } }],
  [
    "POST",
    "/write/:name",
    async () => ({ body: "written" }),
    { ...anything, access: { needs: "write", confine: ":name" } },
  ],
  [
    "GET",
    "/handler",
    async (_echo, call) => named(call),
    { ...anything, access: { needs: "read", confine: "handler" } },
  ],
  ["GET", "/sign", async (_echo, call) => sign(call), { ...anything, access: { needs: "read", confine: "nothing" } }],
  ["GET", "/undecided", async () => ({ body: "done" }), anything],
  ["GET", "/events", async (echo, call) => eventReply(call, ticks(echo, call.ending), 50), anything],
];

export const EchoService: Service<EchoBackend> = defineService<EchoBackend>({
  name: "echo",
  env: "ECHO_URL",
  summary: "Says it again",
  routes,
  backends: {
    memory: async () => ({
      open: async (url) => {
        url.integer("size", 1, { max: 10 });
        return echoBackend();
      },
    }),
  },
  embedded: () => "memory://",
});

function named(call: Call): Reply {
  const { name } = call.query(z.object({ name: z.string() }));
  call.confine(name);
  return { body: name };
}

function sign(call: Call): Reply {
  const { name } = call.query(z.object({ name: z.string() }));
  return {
    body: { url: call.signUrl("GET", `/echo/read/${name}`, new Date(Date.now() + 60_000)) },
  };
}

export function echoBackend(): EchoBackend {
  return { events: [], ping: async () => undefined, close: async () => undefined };
}

/** A server on a free port with the echo service, whose log is kept. */
export async function serveEcho(
  adjust: (builder: SidecarBuilder) => SidecarBuilder = (builder) => builder,
  backend: EchoBackend = echoBackend(),
): Promise<Server & { readonly url: string; readonly logged: string[]; readonly echo: EchoBackend }> {
  const logged: string[] = [];
  const log = await keptLog(logged);
  const builder = new SidecarBuilder().port(0).log(log).add(EchoService.fromBackend(backend));
  const server = await adjust(builder).serve();
  return { ...server, url: server.url ?? "", logged, echo: backend };
}

export function keptLog(lines: string[]): Promise<Log> {
  return createLog("debug", { write: (line) => lines.push(line) });
}

function text(value: { numbers: readonly (number | bigint)[] }): string {
  return value.numbers.map(String).join(",");
}

async function count(body: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.length;
  return size;
}

function many(echo: EchoBackend, chunks: number): { headers: Record<string, string>; body: AsyncIterable<Buffer> } {
  async function* body(): AsyncGenerator<Buffer> {
    try {
      for (let index = 0; index < chunks; index++) yield Buffer.alloc(65_536, "m");
    } finally {
      echo.events.push("stream closed");
    }
  }
  return { headers: { "Content-Type": "text/plain", "Content-Length": String(chunks * 65_536) }, body: body() };
}

async function* half(): AsyncGenerator<Buffer> {
  yield Buffer.from("the first half");
  throw new Error("the source broke");
}

async function wait(echo: EchoBackend, signal: AbortSignal): Promise<string> {
  echo.events.push("started");
  try {
    await sleep(60_000, undefined, { signal });
    return "waited";
  } catch (error) {
    echo.events.push("aborted");
    throw error;
  }
}

/** Waits until it is ended, and then has an answer. */
async function poll(echo: EchoBackend, call: Call): Promise<Reply> {
  call.extend(60_000);
  echo.events.push("polling");
  await ended(call.ending);
  return { body: "nothing came", onEnd: (isSent) => echo.events.push(isSent ? "sent" : "not sent") };
}

function told(echo: EchoBackend, size: number): Reply {
  return { body: Buffer.alloc(size, "t"), onEnd: (isSent) => echo.events.push(isSent ? "sent" : "not sent") };
}

async function* ticks(echo: EchoBackend, ending: AbortSignal): AsyncGenerator<readonly ServerEvent[]> {
  try {
    yield [{ data: "one\r\ntwo" }, { event: "named", id: "7", data: "" }];
    await ended(ending);
  } finally {
    echo.events.push("events over");
  }
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
