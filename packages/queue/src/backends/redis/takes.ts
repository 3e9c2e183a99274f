/**
 * Takes whose reply never came. Redis may have done one of them, and then its messages are leased to nobody; or it may
 * still do it, when it wakes up. So a take names itself, and the time until which it may be done; one that failed is
 * undone when that time is over.
 */

import { randomUUID } from "node:crypto";
import { runScript, type Words } from "@mikcar/redis";
import type { Source } from "../../backend.ts";
import { Errands } from "../../errands.ts";
import { type Place, placeOf } from "./keys.ts";
import { scripts } from "./scripts/index.ts";

export interface Take {
  /** Its name, that of the one before it whose reply has arrived, and until when it may be done, by the clock of Redis. */
  readonly name: string;
  readonly before: string;
  readonly notAfter: number;
}

/** More than clocks drift apart from one reply to the next. */
const SLACK_MS = 1000;
/** How many sources are remembered with their last take; what the others left behind goes with their leases. */
const KNOWN = 10_000;

export class Takes {
  readonly #send: (words: Words) => Promise<unknown>;
  readonly #timeoutMs: number;
  readonly #errands = new Errands();
  readonly #process = randomUUID();
  /** By base: the last take whose reply has arrived. */
  readonly #arrived = new Map<string, string>();
  #count = 0;
  /** How far the clock of Redis is ahead of ours. */
  #aheadMs: number | undefined;

  /** @param send As `Connection.send`. @param timeoutMs After which it gives up. */
  constructor(send: (words: Words) => Promise<unknown>, timeoutMs: number) {
    this.#send = send;
    this.#timeoutMs = timeoutMs;
  }

  async begin({ base }: Pick<Place, "base">): Promise<Take> {
    this.#aheadMs ??= await this.#askTime();
    return {
      name: `${this.#process}:${this.#count++}`,
      before: this.#arrived.get(base) ?? "",
      notAfter: Math.ceil(Date.now() + this.#aheadMs + this.#timeoutMs + SLACK_MS),
    };
  }

  /** @param now By the clock of Redis. @param hasMessages Whether Redis has written down what it leased. */
  arrived({ base }: Pick<Place, "base">, { name }: Take, now: number, hasMessages: boolean): void {
    this.#aheadMs = now - Date.now();
    this.#arrived.delete(base);
    if (hasMessages) this.#arrived.set(base, name);
    if (this.#arrived.size <= KNOWN) return;
    const [oldest = ""] = this.#arrived.keys();
    this.#arrived.delete(oldest);
  }

  /** Undoes it as soon as it is sure what became of it. @param channel Of the source: its messages can be taken again. */
  failed(source: Source, { name, notAfter }: Take, visibilityMs: number, channel: string): void {
    const { stream, base } = placeOf(source);
    this.#aheadMs = undefined; // one of the clocks may have been set
    const undo = async (): Promise<void> => {
      const words = ["2", stream, base, name, String(notAfter), channel];
      if ((await runScript(this.#send, scripts.recover, words)) === 0) throw new Error("it is too early to know");
    };
    this.#errands.run(undo, visibilityMs + this.#timeoutMs + SLACK_MS);
  }

  close(): Promise<void> {
    return this.#errands.close();
  }

  async #askTime(): Promise<number> {
    const [seconds, micros] = (await this.#send(["TIME"])) as readonly Buffer[]; // what TIME replies
    return Number(seconds) * 1000 + Number(micros) / 1000 - Date.now();
  }
}
