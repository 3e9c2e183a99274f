/** One connection as long as it lasts: calls on it end in time, whatever the broker does. */

import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import type { MikcarError } from "@mikcar/core";
import { coalesceWrites } from "./coalesce.ts";
import { away } from "./translate.ts";
import type { AmqpConfig } from "./url.ts";

interface Pending {
  readonly deadline: number;
  readonly reject: (error: MikcarError) => void;
  readonly onLate: (() => void) | undefined;
}

export class Live {
  /** Resolves when the connection is no more; never rejects. */
  readonly lost: Promise<void>;
  /** The broker takes no messages on it: it is short of memory or disk. */
  isBlocked = false;
  /** It was cut as the broker did not answer. */
  wasSilent = false;
  readonly #model: ChannelModel;
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** In the order of their deadlines. */
  readonly #pending = new Set<Pending>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #cut: () => void;
  #why: unknown;
  #isLost = false;
  #isDoubted = false;
  #sweptAt = performance.now();

  /** @param cut Destroys the socket. */
  constructor(model: ChannelModel, cut: () => void, { timeoutMs }: AmqpConfig) {
    this.#model = model;
    this.#cut = cut;
    this.timeoutMs = timeoutMs;
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs(timeoutMs)).unref();
    this.lost = new Promise((resolve) => {
      model.on("error", (error) => (this.#why = error)); // always followed by `close`
      model.on("close", (error) => {
        this.#why ??= error;
        this.#end();
        resolve();
      });
    });
    coalesceWrites(model);
    model.on("blocked", () => this.#block());
    model.on("unblocked", () => (this.isBlocked = false));
  }

  /**
   * What the broker answers. When it does not in time, it may be for one queue, or not at all: then the connection is cut.
   * @param onLate Called when the time is up: the channel is of no more use.
   * @throws what `answer` throws; UNAVAILABLE when the connection is lost before, or the time is up.
   */
  call<T>(answer: Promise<T>, onLate?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isLost) {
        answer.catch(() => undefined); // this one is told instead
        return reject(this.#gone());
      }
      const pending = { deadline: performance.now() + this.timeoutMs, reject, onLate };
      this.#pending.add(pending);
      answer.then(
        (value) => {
          this.#pending.delete(pending);
          resolve(value);
        },
        (error: unknown) => {
          this.#pending.delete(pending);
          reject(error as Error); // of amqplib's
        },
      );
    });
  }

  /** Why nothing can be sent on it. */
  blockage(): MikcarError {
    return away("it takes no messages, as it is short of memory or disk");
  }

  async channel(): Promise<Channel> {
    return guarded(await this.call(this.#model.createChannel()));
  }

  async confirmChannel(): Promise<ConfirmChannel> {
    return guarded(await this.call(this.#model.createConfirmChannel({ highWaterMark: 1024 })));
  }

  /** What is on its way may lie unread for hours: nobody waits for that. */
  #block(): void {
    this.isBlocked = true;
    this.#refuseAll(() => this.blockage());
  }

  #sweep(): void {
    const now = performance.now();
    const wasHeldUp = now - this.#sweptAt > sweepEveryMs(this.timeoutMs) * 5; // this process: answers may lie unread
    this.#sweptAt = now;
    const [oldest] = this.#pending;
    if (oldest === undefined || oldest.deadline > now || wasHeldUp) return;
    if (!this.#isDoubted) void this.#doubt();
    for (const pending of this.#pending) {
      if (pending.deadline > now) return;
      this.#pending.delete(pending);
      pending.reject(away(`no answer within ${this.timeoutMs} ms`));
      pending.onLate?.();
    }
  }

  /** Asks for what costs the broker nothing and needs no queue. */
  async #doubt(): Promise<void> {
    this.#isDoubted = true;
    const timer = setTimeout(() => this.#giveUp(), this.timeoutMs / 2).unref();
    try {
      const channel = await this.#model.createChannel();
      channel.close().catch(() => undefined); // the connection was lost
      this.#isDoubted = false;
    } catch {
      this.#giveUp();
    } finally {
      clearTimeout(timer);
    }
  }

  #giveUp(): void {
    if (this.#isLost) return;
    this.wasSilent = true;
    this.#why ??= new Error(`no answer within ${this.timeoutMs} ms`);
    this.#end();
    this.#cut();
  }

  #end(): void {
    this.#isLost = true;
    clearInterval(this.#sweeper);
    this.#refuseAll(() => this.#gone());
  }

  #refuseAll(why: () => MikcarError): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const { reject } of pending) reject(why());
  }

  #gone(): MikcarError {
    return away(this.#why instanceof Error ? this.#why.message : "the connection was lost", this.#why);
  }
}

function sweepEveryMs(timeoutMs: number): number {
  return Math.max(5, timeoutMs / 10);
}

/** An emitted error without a listener would end the process; who waits for an answer is told by it. */
function guarded<C extends Channel>(channel: C): C {
  channel.on("error", () => undefined);
  channel.on("handler-error", () => undefined);
  return channel;
}
