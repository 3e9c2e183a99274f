/** Signed requests of the `minio` client. Its own calls for objects know no conditions, and no streams of unknown length. */

import { AsyncLocalStorage } from "node:async_hooks";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ClientOptions } from "minio";
import { answerTo, failure, type Place } from "../s3/translate.ts";
import { text } from "./xml.ts";

export interface Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Ends it, and its answer. */
  readonly signal?: AbortSignal | undefined;
}

type Answers<A> = Readonly<Record<string, A>>;

const EMPTY = Buffer.alloc(0);
const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 100;
/** Of these the client tells by their number alone, and reads no answer. */
const UNREAD = [408, 429, 499, 500, 502, 503, 504, 520];
/** All others it hands out. Those that it does not know it would wait for for ever. */
const ANSWERS = Array.from({ length: 400 }, (_, index) => 200 + index).filter((status) => !UNREAD.includes(status));
const UNHEARD = /Retryable HTTP status: (\d+)/;
/** Of the request that is made: the client passes none on. */
const signals = new AsyncLocalStorage<AbortSignal | undefined>();
const BROKEN = new Set(["ECONNRESET", "EPIPE"]);

export class Requests {
  readonly #client: Client;
  readonly #bucket: string;
  readonly #place: Place;

  constructor(client: Client, bucket: string, place: Place) {
    this.#client = client;
    this.#bucket = bucket;
    this.#place = place;
  }

  /** An answer whose body is still to be read. */
  async send(request: Request): Promise<http.IncomingMessage> {
    return (await this.ask(request, {})) as http.IncomingMessage; // as there is no other answer
  }

  /** @param answers What to answer instead of failing, by status or code. */
  async ask<A>(request: Request, answers: Answers<A>): Promise<http.IncomingMessage | A> {
    const response = await this.#attempt(request);
    const status = response.statusCode ?? 0;
    if (status < 300) return response;
    const xml = await this.text(response);
    const { "x-minio-error-code": code, "x-minio-error-desc": message, "x-amz-request-id": id } = response.headers;
    const complaint = {
      code: text(xml, "Code") || String(code ?? `HTTP ${status}`),
      message: text(xml, "Message") || String(message ?? response.statusMessage),
      request: id === undefined ? undefined : String(id),
      status,
    };
    const answer = answerTo(answers, complaint.code, status);
    if (answer !== undefined) return answer.instead;
    throw failure(complaint, this.#place);
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

  translate(error: unknown): Error {
    const { code, name, message } = error as NodeJS.ErrnoException;
    const status = UNHEARD.exec(message)?.[1];
    const isOurs = status === undefined && code === undefined && name !== "Error";
    return failure({ code: code ?? name, message, status: isOurs ? 400 : undefined }, this.#place);
  }

  /** Again, when a kept connection was closed at the other end, or the server cannot now. */
  async #attempt(request: Request): Promise<http.IncomingMessage> {
    const { method, key, query = {}, headers = {}, body = EMPTY, signal } = request;
    const options = {
      method,
      bucketName: this.#bucket,
      query: queryOf(query),
      headers: { ...headers },
      ...(key === undefined ? {} : { objectName: key }),
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await signals.run(signal, () => this.#client.makeRequestAsync(options, body, ANSWERS));
      } catch (error) {
        const { code = "", message } = error as NodeJS.ErrnoException;
        const mayHelp = BROKEN.has(code) || UNHEARD.test(message);
        if (!mayHelp || attempt === MAX_ATTEMPTS) throw this.translate(error);
        await sleep(BACKOFF_MS * 2 ** attempt * Math.random());
      }
    }
  }
}

/** A transport for the client whose waits end: for a connection to be free here, and everything else in `agentFor`. */
export function transportOf(isTls: boolean, idleMs: number): NonNullable<ClientOptions["transport"]> {
  const request = (options: http.RequestOptions, answer: (response: http.IncomingMessage) => void) => {
    const sent = (isTls ? https : http).request({ ...options, signal: signals.getStore() }, (response) => {
      if (UNREAD.includes(response.statusCode ?? 0)) response.resume();
      answer(response);
    });
    const late = setTimeout(() => void sent.destroy(noConnection(idleMs)), idleMs);
    for (const event of ["socket", "close"]) sent.once(event, () => clearTimeout(late));
    return sent;
  };
  return { request: request as typeof http.request }; // the one of its forms that the client uses
}

function queryOf(query: NonNullable<Request["query"]>): string {
  return Object.entries(query)
    .map(([name, value]) => `${name}=${escapeAll(String(value))}`)
    .join("&");
}

/** As signatures want it: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function escapeAll(value: string): string {
  return encodeURIComponent(value).replaceAll(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function noConnection(ms: number): Error {
  return Object.assign(new Error(`no connection was free for ${ms} ms`), { code: "EIDLE" });
}
