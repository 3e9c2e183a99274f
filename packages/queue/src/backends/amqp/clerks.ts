/** Channels for what may fail: the broker closes a channel with every error, so these carry nobody's messages. */

import type { Channel } from "amqplib";
import type { Link } from "./link.ts";
import type { Live } from "./live.ts";

export interface Clerk {
  readonly channel: Channel;
  /** As `Live.call`. */
  readonly call: Live["call"];
}

interface Open extends Clerk {
  isClosed: boolean;
}

export class Clerks {
  readonly #link: Link;
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #idle: Open[] = [];

  /** @param count How many work at the same time. */
  constructor(link: Link, count: number) {
    this.#link = link;
    this.#free = count;
  }

  /** @throws what `work` throws; UNAVAILABLE. */
  run<T>(work: (clerk: Clerk) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const clerk = await this.#hire();
      const result = await this.#watched(clerk, work);
      this.#idle.push(clerk);
      return result;
    });
  }

  /** On a channel that is closed afterwards: the messages that `work` has not settled are back in their queue then. */
  runApart<T>(work: (clerk: Clerk) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const clerk = await this.#hire();
      const result = await this.#watched(clerk, work);
      await clerk.call(clerk.channel.close());
      return result;
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  async #hire(): Promise<Open> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) break;
      if (!idle.isClosed) return idle;
    }
    const live = await this.#link.connection();
    const channel = await live.channel();
    const clerk: Open = { channel, call: (answer) => live.call(answer), isClosed: false };
    channel.once("close", () => (clerk.isClosed = true));
    return clerk;
  }

  async #watched<T>(clerk: Open, work: (clerk: Clerk) => Promise<T>): Promise<T> {
    try {
      return await work(clerk);
    } catch (error) {
      clerk.channel.close().catch(() => undefined); // mostly the broker has closed it already
      throw error;
    }
  }
}
