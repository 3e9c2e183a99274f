/** An HTTP client that sends a path exactly as written; `fetch` would tidy up `..` and encodings on the way. */

import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request as httpRequest } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON; throws when it is none. Typed loosely, as tests look into it. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** An iterable is sent chunked; a string or Buffer with its length. */
  readonly body?: string | Buffer | AsyncIterable<Buffer> | Iterable<Buffer>;
  readonly socketPath?: string;
  /** Absent: a new connection for each call. */
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** @param base As a server tells it: `http://127.0.0.1:3001`. @param path Sent as it stands. */
export async function ask(base: string, path: string, options: Ask = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body, socketPath, agent = false, signal } = options;
  const { hostname, port } = new URL(base);
  const isWhole = typeof body === "string" || Buffer.isBuffer(body);
  const length = isWhole ? { "Content-Length": Buffer.byteLength(body) } : {};
  const target = socketPath === undefined ? { hostname, port } : { socketPath };
  const request = httpRequest({
    ...target,
    agent,
    method,
    path,
    headers: { ...length, ...headers },
    ...(signal ? { signal } : {}),
  });
  const answered = new Promise<Answer>((resolve, reject) => {
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => resolve(answer(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))));
    });
  });
  answered.catch(() => undefined); // sending may fail first, and then that error is the one to tell
  if (isWhole || body === undefined) request.end(body);
  else await send(request, body, answered);
  return answered;
}

async function send(
  request: ReturnType<typeof httpRequest>,
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  answered: Promise<Answer>,
): Promise<void> {
  for await (const chunk of body) {
    if (request.destroyed) return;
    if (!request.write(chunk)) {
      const drained = new Promise<void>((resolve) => request.once("drain", () => resolve()));
      await Promise.race([drained, answered.then(() => undefined)]);
    }
  }
  request.end();
}

function answer(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  return {
    status,
    headers,
    body,
    get text() {
      return body.toString();
    },
    get json() {
      return JSON.parse(body.toString());
    },
  };
}
