/** One server: a connection that comes back by itself, and calls that end whatever the server does. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Host, type MikcarError, unavailable, type Warn } from "@mikcar/core";
import { type Client, makeClient, type Words } from "./client.ts";
import { away } from "./translate.ts";
import type { RedisConfig } from "./url.ts";

interface Pending {
  readonly deadline: number;
  readonly reject: (error: MikcarError) => void;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

export class Connection {
  readonly address: string;
  readonly #config: RedisConfig;
  readonly host: Host;
  readonly #warn: Warn;
  /** In the order they were sent, which is that of their deadlines. */
  readonly #pending = new Set<Pending>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #over = new AbortController();
  readonly #running: Promise<void>;
  #client: Client | undefined;
  /** The connection that is being made, for calls that come while none has failed yet. */
  #next = newResolvers<Client>();
  /** Why the last attempt failed; calls are refused with it at once. */
  #failure: MikcarError | undefined;
  #onIdle: (() => void) | undefined;
  #isClosed = false;

  constructor(config: RedisConfig, host: Host, warn: Warn) {
    this.address = `${host.host}:${host.port ?? 6379}`;
    this.#config = config;
    this.host = host;
    this.#warn = warn;
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(5, config.timeoutMs / 10)).unref();
    this.#running = this.#run();
  }

  /**
   * The reply; commands of one moment travel together, in order. It is never sent twice.
   * @throws what the server replied (`ErrorReply`); UNAVAILABLE when it does not answer in time or cannot be reached.
   */
  send(words: Words): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(unavailable("the store is closed"));
    const client = this.#client;
    if (client !== undefined) return this.#within(client.sendCommand(words as string[])); // which only reads them
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#within(this.#next.promise.then((next) => next.sendCommand(words as string[])));
  }

  /** What was sent before may end; then the connection is closed. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
      clearInterval(this.#sweeper);
      this.#over.abort();
      this.#client?.destroy();
    }
    await this.#running;
  }

  #within(reply: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const pending = { deadline: performance.now() + this.#config.timeoutMs, reject };
      this.#pending.add(pending);
      reply.then(
        (value) => {
          this.#settle(pending);
          resolve(value);
        },
        (error: unknown) => {
          this.#settle(pending);
          reject(error as Error); // of the client's, or ours
        },
      );
    });
  }

  #settle(pending: Pending): void {
    this.#pending.delete(pending);
    if (this.#pending.size === 0) this.#onIdle?.();
  }

  /** Replies come in order: when one is overdue, so are those behind it, and only a new connection helps. */
  #sweep(): void {
    const now = performance.now();
    let isOverdue = false;
    for (const pending of this.#pending) {
      if (pending.deadline > now) break;
      isOverdue = true;
      this.#settle(pending);
      pending.reject(away(this.address, `no answer within ${this.#config.timeoutMs} ms`));
    }
    if (isOverdue) this.#client?.destroy();
  }

  async #run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#over.signal.aborted) {
      try {
        await this.#connectOnce();
        pause = FIRST_PAUSE_MS;
      } catch (error) {
        this.#fail(away(this.address, "no connection", error));
        await sleep(pause * (0.75 + Math.random() / 2), undefined, { signal: this.#over.signal, ref: false }).catch(
          () => undefined, // the end was asked for, and the loop sees it
        );
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
    this.#next.reject(unavailable("the store is closed"));
  }

  /** Resolves when the connection that it made is lost. @throws when it could make none. */
  async #connectOnce(): Promise<void> {
    const client = makeClient(this.#config, this.host);
    const lost = newResolvers<undefined>();
    client.on("error", () => lost.resolve(undefined)); // those who wait for a reply are told by the client
    client.on("end", () => lost.resolve(undefined));
    try {
      await this.#inTime(client.connect());
      if (this.#over.signal.aborted) return;
      this.#client = client;
      this.#failure = undefined;
      this.#next.resolve(client);
      await lost.promise;
    } finally {
      if (this.#client !== undefined) this.#next = newResolvers();
      this.#client = undefined;
      client.destroy();
    }
  }

  async #inTime(connecting: Promise<unknown>): Promise<void> {
    const late = newResolvers<never>();
    const giveUp = (): void => late.reject(new Error(`not connected within ${this.#config.timeoutMs} ms`));
    const timer = setTimeout(giveUp, this.#config.timeoutMs);
    this.#over.signal.addEventListener("abort", giveUp);
    connecting.catch(() => undefined); // may come later than the deadline
    try {
      await Promise.race([connecting, late.promise]);
    } finally {
      clearTimeout(timer);
      this.#over.signal.removeEventListener("abort", giveUp);
    }
  }

  #fail(failure: MikcarError): void {
    if (this.#over.signal.aborted) return;
    if (failure.message !== this.#failure?.message) this.#warn(failure.message);
    this.#failure = failure;
    this.#next.reject(failure);
    this.#next = newResolvers();
  }
}

/** Its rejection may have no listener. */
function newResolvers<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}
