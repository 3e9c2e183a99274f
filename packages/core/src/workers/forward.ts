/** A service that another worker has open: its calls go there over a Unix socket, and come back as if they were served here. */

import type { Agent as HttpAgent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { readStream } from "../body.ts";
import type { HttpCall } from "../call.ts";
import { type MikcarError, unavailable } from "../errors.ts";
import { written } from "../reply.ts";
import type { Reply } from "../routes.ts";
import type { Sidecar, Startable } from "../service.ts";

const { Agent, request: send } = process.getBuiltinModule("node:http");

/** RFC 9110, 7.6.1, and what this server says itself. Without `accept-encoding` the answer is zipped here, if at all. */
const NOT_FORWARDED = new Set(
  "connection keep-alive proxy-connection te trailer transfer-encoding upgrade expect accept-encoding x-trace-id".split(
    " ",
  ),
);
const NOT_RETURNED = new Set(["connection", "keep-alive", "transfer-encoding", "date", "x-trace-id"]);
/** An answer up to this size is sent whole. */
const WHOLE_BYTES = 65_536;
/** At most so often is the other worker asked whether it is still there. */
const WATCH_MS = 1000;
/** What it may take to say so. */
const ANSWER_MS = 2000;

/** The service as the other worker has it: the same routes, without its backend. @param url Masked. */
export function forwardedSidecar(
  definition: Pick<Sidecar, "name" | "summary"> & Pick<Startable, "routes">,
  backend: { readonly scheme: string; readonly url: string },
  socketPath: string,
): Sidecar {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
  return {
    name: definition.name,
    summary: definition.summary,
    backend: backend.scheme,
    url: backend.url,
    routes: definition.routes.map(([method, path, , spec]) => ({
      method,
      path,
      spec,
      handle: (call) => forward(call as HttpCall, agent, socketPath), // the dispatcher makes no other calls
    })),
    ping: () => ping(definition.name, agent, socketPath),
    close: async () => agent.destroy(),
  };
}

function forward(call: HttpCall, agent: HttpAgent, socketPath: string): Promise<Reply> {
  const { request, signal } = call;
  if (signal.aborted) return Promise.reject(signal.reason as Error); // by the dispatcher, with an error of ours
  call.leaveTimeToOther();
  return new Promise((resolve, reject) => {
    const { method, url: path } = request;
    const headers = forwardedHeaders(call);
    const upstream = send({ socketPath, agent, method, path, headers });
    const stop = (): void => void upstream.destroy();
    signal.addEventListener("abort", stop, { once: true });
    const watch = setInterval(
      () => {
        answers(agent, socketPath).catch((cause: Error) => upstream.destroy(cause));
      },
      Math.max(WATCH_MS, call.timeoutMs),
    );
    upstream.once("close", () => clearInterval(watch));
    const body = new Body(call, upstream);
    upstream.once("response", (answer) => {
      body.stop();
      answer.once("close", () => {
        signal.removeEventListener("abort", stop);
        if (!upstream.writableEnded) stop(); // the other worker waits for the rest: no other call may take its place
      });
      replyOf(call, answer).then(resolve, (cause) => reject(away(cause)));
    });
    upstream.on("error", (cause) => {
      body.stop();
      reject(signal.aborted ? signal.reason : away(cause));
    });
    if (call.awaitsContinue) upstream.once("continue", () => body.send());
    else body.send();
  });
}

/** The request's body on its way to the other worker. */
class Body {
  readonly #call: HttpCall;
  readonly #upstream: ClientRequest;
  #pieces: AsyncGenerator<Buffer> | undefined;
  #isStopped = false;

  constructor(call: HttpCall, upstream: ClientRequest) {
    this.#call = call;
    this.#upstream = upstream;
    if (call.awaitsContinue) upstream.flushHeaders();
  }

  send(): void {
    const { "content-length": length, "transfer-encoding": encoding } = this.#call.request.headers;
    if (encoding === undefined && (length === undefined || length === "0")) return void this.#upstream.end();
    this.#upstream.flushHeaders(); // the other worker may answer without the body, and watches over its time
    this.#pump().catch((error: Error) => this.#upstream.destroy(error));
  }

  /** The answer is there: what is left of the body is for the dispatcher to throw away. */
  stop(): void {
    this.#isStopped = true;
    void this.#pieces?.return(undefined);
  }

  async #pump(): Promise<void> {
    const call = this.#call;
    const upstream = this.#upstream;
    if (call.awaitsContinue) {
      call.awaitsContinue = false;
      call.response.writeContinue();
    }
    this.#pieces = readStream(call.request, Infinity, (bytes) => call.receive(bytes));
    for await (const piece of this.#pieces) {
      if (this.#isStopped) return;
      await written(upstream, piece);
    }
    if (!this.#isStopped) upstream.end();
  }
}

function forwardedHeaders(call: HttpCall): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { "x-trace-id": call.traceId };
  for (const name in call.headers) if (!NOT_FORWARDED.has(name)) headers[name] = call.headers[name];
  // Said here: of GET and DELETE, Node would send the pieces without it, and the other worker take them for requests.
  if (call.headers["transfer-encoding"] !== undefined) headers["transfer-encoding"] = "chunked";
  if (call.awaitsContinue) headers["expect"] = "100-continue";
  return headers;
}

async function replyOf(call: HttpCall, answer: IncomingMessage): Promise<Reply> {
  const status = answer.statusCode ?? 502;
  const headers: Record<string, string> = {};
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    const name = answer.rawHeaders[at] ?? "";
    if (!NOT_RETURNED.has(name.toLowerCase())) headers[name] = answer.rawHeaders[at + 1] ?? "";
  }
  const length = Number(answer.headers["content-length"] ?? Infinity);
  const isEmpty = call.request.method === "HEAD" || status === 204 || status === 304 || length === 0;
  if (!isEmpty && length > WHOLE_BYTES) return { status, headers, body: timed(call, answer) };
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  call.takeTimeBack();
  if (isEmpty) return { status, headers };
  const body = Buffer.concat(chunks);
  if (status >= 400) call.errorCode = codeOf(body);
  return { status, headers, body };
}

/** The other worker watches over the time that its pieces take, this one over the time until the client has them. */
async function* timed(call: HttpCall, answer: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of answer) {
    call.takeTimeBack();
    yield piece;
    call.leaveTimeToOther();
  }
  call.takeTimeBack();
}

/** For the metrics: every error answer of ours has one. */
function codeOf(body: Buffer): string {
  return (JSON.parse(body.toString()) as { readonly code: string }).code;
}

function away(cause: unknown): MikcarError {
  return unavailable("the worker that serves this has gone; another one takes its place", {
    cause,
    headers: { "Retry-After": "1" },
  });
}

/** Whether the other worker is there at all: a process that hangs or was stopped watches over nobody's time. */
async function answers(agent: HttpAgent, socketPath: string): Promise<void> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    send({ socketPath, agent, path: "/health", signal }).once("response", resolve).on("error", reject).end();
  });
  answer.resume();
}

/** As `/ready` of the other worker has it. */
async function ping(name: string, agent: HttpAgent, socketPath: string): Promise<void> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    send({ socketPath, agent, path: "/ready" }).once("response", resolve).once("error", reject).end();
  });
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const report = JSON.parse(Buffer.concat(chunks).toString()) as {
    readonly services: Readonly<Record<string, { readonly status: string; readonly error?: string }>>;
  };
  const { status, error } = report.services[name] ?? {};
  if (status !== "up") throw unavailable(error ?? "the worker that serves it does not know it");
}
