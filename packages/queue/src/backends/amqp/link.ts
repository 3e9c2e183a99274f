/** A connection that comes back by itself. */

import { setTimeout as sleep } from "node:timers/promises";
import { type MikcarError, unavailable, type Warn } from "@mikcar/core";
import { connect } from "amqplib";
import { Live } from "./live.ts";
import { away } from "./translate.ts";
import type { AmqpConfig } from "./url.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;
/** amqplib does not pass on what the broker says then. */
const NO_HOST = /^Expected ConnectionOpenOk; got <ConnectionClose/;

export class Link {
  readonly #config: AmqpConfig;
  readonly #warn: Warn;
  readonly #over = new AbortController();
  readonly #running: Promise<void>;
  readonly #onChange: () => void;
  #live: Live | undefined;
  /** The connection that is being made, for calls that come while none has failed yet. */
  #next = newResolvers<Live>();
  /** Why the last attempt failed; calls are refused with it at once. */
  #failure: MikcarError | undefined;

  /** @param onChange Called when the connection was lost, and when there is one again. */
  constructor(config: AmqpConfig, warn: Warn, onChange: () => void = () => undefined) {
    this.#config = config;
    this.#warn = warn;
    this.#onChange = onChange;
    this.#running = this.#run();
  }

  /** @throws UNAVAILABLE when there is none and the last attempt failed, or none within the timeout. */
  connection(): Promise<Live> {
    if (this.#over.signal.aborted) return Promise.reject(unavailable("the queues are closed"));
    if (this.#live !== undefined) return Promise.resolve(this.#live);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#next.promise;
  }

  /** Cuts the connection: what is to be said before must have been said. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#over.signal.aborted) {
      try {
        await this.#connectOnce();
        pause = FIRST_PAUSE_MS;
      } catch (error) {
        this.#fail(away(`no connection to ${this.#config.address}: ${reasonOf(error)}`, error));
        await sleep(pause * (0.75 + Math.random() / 2), undefined, { signal: this.#over.signal, ref: false }).catch(
          () => undefined, // the end was asked for, and the loop sees it
        );
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
    this.#next.reject(unavailable("the queues are closed"));
  }

  /** Resolves when the connection that it made is lost. @throws when it could make none. */
  async #connectOnce(): Promise<void> {
    const { connect: target, ca, timeoutMs } = this.#config;
    const socket = new AbortController();
    const cut = (): void => socket.abort();
    const timer = setTimeout(cut, timeoutMs);
    this.#over.signal.addEventListener("abort", cut);
    try {
      const options = {
        noDelay: true,
        keepAlive: true,
        signal: socket.signal,
        ...(ca === undefined ? {} : { ca: [ca] }),
      };
      const live = new Live(await connect(target, options), cut, this.#config);
      clearTimeout(timer);
      this.#live = live;
      this.#failure = undefined;
      this.#next.resolve(live);
      this.#onChange();
      await live.lost;
      if (live.wasSilent) throw new Error("it does not answer");
    } finally {
      clearTimeout(timer);
      this.#over.signal.removeEventListener("abort", cut);
      cut();
      if (this.#live !== undefined) {
        this.#next = newResolvers();
        this.#live = undefined;
        this.#onChange();
      }
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

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(String).join("; ");
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError") return "it does not answer";
  return NO_HOST.test(error.message) ? "it has no such virtual host for this user" : error.message;
}

/** Its rejection may have no listener. */
function newResolvers<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}
