/** Requests to Google Cloud Storage. Google's own client needs two where one is enough, or holds whole bodies in memory. */

import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { foreign } from "../cloud/foreign.ts";
import type { Login } from "./login.ts";
import { type Complaint, failure, messageOf } from "./translate.ts";

export interface Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** From the first slash on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Buffer[];
  /**
   * What to do when the answer is lost. Absent: send it again. "unsent": only when a kept connection was closed before;
   * "never": nor when Google cannot now.
   */
  readonly repeat?: "unsent" | "never";
  /** Ends it, and its answer. */
  readonly signal?: AbortSignal | undefined;
}

export interface RequestsOptions {
  readonly endpoint: URL;
  readonly agent: http.Agent | https.Agent;
  /** Undefined: an emulator, which asks for none. */
  readonly login: Login | undefined;
  /** Who is billed; empty: the owner of the bucket. */
  readonly project: string;
  /** `gs://bucket`, for sentences. */
  readonly place: string;
  readonly idleMs: number;
}

const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 100;
const BROKEN = new Set(["ECONNRESET", "EPIPE"]);
/** https://cloud.google.com/storage/docs/retry-strategy */
const LATER = new Set([408, 429, 500, 502, 503, 504]);

export class Requests {
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** An answer of whichever status, whose body is still to be read. @throws when there is none. */
  async send(request: Request): Promise<http.IncomingMessage> {
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt === MAX_ATTEMPTS;
      const login = await this.#options.login?.headers();
      const sent = this.#start(request, login);
      try {
        const response = await sent.response;
        const status = response.statusCode ?? 0;
        const isRenewed = status === 401 && login !== undefined && attempt === 1;
        if (isRenewed) this.#options.login?.forget();
        else if (isLast || request.repeat === "never" || !LATER.has(status)) return response;
        response.resume();
      } catch (error) {
        if (isLast || !mayRepeat(error, request, sent.request.reusedSocket)) throw this.translate(error);
      }
      await sleep(BACKOFF_MS * 2 ** attempt * Math.random());
    }
  }

  /** What an answer complains of. */
  async complaint(response: http.IncomingMessage): Promise<Complaint> {
    const status = response.statusCode ?? 0;
    const message = messageOf(await this.text(response)) || (response.statusMessage ?? "");
    return { status, code: `HTTP ${status}`, message };
  }

  async text(response: http.IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer); // no encoding is set
    } catch (error) {
      throw this.translate(response.socket.errored ?? error); // Node says "aborted" whatever it was
    }
    return Buffer.concat(chunks).toString();
  }

  /** @param read Takes from it what is needed. Where that cannot be, it is no answer of Google's. @throws BAD_GATEWAY */
  async json<A, T>(response: http.IncomingMessage, read: (answer: A) => T): Promise<T> {
    const text = await this.text(response);
    try {
      const answer: unknown = JSON.parse(text);
      if (typeof answer !== "object" || Array.isArray(answer)) throw new TypeError("no object");
      return read(answer as A);
    } catch (cause) {
      throw foreign(`${this.#options.place}: an answer is not Google's`, { cause });
    }
  }

  fail(complaint: Complaint): Error {
    return failure(complaint, this.#options.place);
  }

  translate(error: unknown): Error {
    const { code, name, message } = error as NodeJS.ErrnoException;
    return this.fail({ status: undefined, code: code ?? name, message });
  }

  close(): void {
    this.#options.agent.destroy();
  }

  #start(
    { method, path, query = {}, headers, body = [], signal }: Request,
    login: Readonly<Record<string, string>> | undefined,
  ): { readonly request: http.ClientRequest; readonly response: Promise<http.IncomingMessage> } {
    const { endpoint, agent, project, idleMs } = this.#options;
    const length = body.reduce((sum, { length: bytes }) => sum + bytes, 0);
    const request = (endpoint.protocol === "https:" ? https : http).request({
      agent,
      signal,
      method,
      host: endpoint.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: endpoint.port,
      path: path + queryOf(query),
      headers: {
        ...login,
        ...(project === "" ? {} : { "x-goog-user-project": project }),
        ...headers,
        ...(method === "GET" ? {} : { "content-length": length }),
      },
    });
    const late = setTimeout(() => void request.destroy(noConnection(idleMs)), idleMs);
    for (const event of ["socket", "close"]) request.once(event, () => clearTimeout(late));
    const response = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.on("error", reject); // also after the answer, when nobody asks any more
    });
    for (const bytes of body) request.write(bytes);
    request.end();
    return { request, response };
  }
}

function mayRepeat(error: unknown, { repeat }: Request, isKept: boolean): boolean {
  if (!BROKEN.has((error as NodeJS.ErrnoException).code ?? "") || repeat === "never") return false;
  return repeat === undefined || isKept;
}

function queryOf(query: NonNullable<Request["query"]>): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function noConnection(ms: number): Error {
  return Object.assign(new Error(`no connection was free for ${ms} ms`), { code: "ETIMEDOUT" });
}
