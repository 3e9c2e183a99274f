/**
 * Emails caught in the memory of this process, and sent to nobody: `memory://`. The newest 1000 of them, and 64 MiB at
 * most, are kept.
 */

import { badRequest, type Open, unavailable } from "@mikcar/core";
import { type CaughtPage, type EmailBackend, type Message, PAGE_BYTES, type Rejected } from "../backend.ts";

const MOST = 1000;
const MOST_BYTES = 64 * 1024 * 1024;
const NUMBER = /^\d{1,15}$/;

export const open: Open<EmailBackend> = async () => new MemoryOutbox();

class MemoryOutbox implements EmailBackend {
  /** By number, the oldest first. */
  readonly #messages = new Map<number, Message>();
  #count = 0;
  #bytes = 0;
  #isClosed = false;

  async send(message: Message): Promise<readonly Rejected[]> {
    this.#refuseClosed();
    this.#messages.set(++this.#count, message);
    this.#bytes += message.raw.length;
    for (const [number, { raw }] of this.#messages) {
      if (this.#messages.size <= MOST && this.#bytes <= MOST_BYTES) break;
      this.#messages.delete(number);
      this.#bytes -= raw.length;
    }
    return [];
  }

  async listCaught(limit: number, cursor: string | undefined): Promise<CaughtPage> {
    this.#refuseClosed();
    if (cursor !== undefined && !NUMBER.test(cursor)) throw badRequest("cursor: it is none of this outbox");
    const before = cursor === undefined ? Infinity : Number(cursor);
    const messages: Message[] = [];
    let bytes = 0;
    let last: number | undefined;
    for (const [number, message] of [...this.#messages].reverse()) {
      if (number >= before) continue;
      bytes += message.raw.length;
      if (messages.length === limit || (messages.length > 0 && bytes > PAGE_BYTES))
        return { messages, cursor: String(last) };
      messages.push(message);
      last = number;
    }
    return { messages, cursor: undefined };
  }

  async getCaught(id: string): Promise<Message | undefined> {
    this.#refuseClosed();
    return [...this.#messages.values()].find((message) => message.id === id);
  }

  async clearCaught(): Promise<number> {
    this.#refuseClosed();
    const count = this.#messages.size;
    this.#messages.clear();
    this.#bytes = 0;
    return count;
  }

  async ping(): Promise<void> {
    this.#refuseClosed();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw unavailable("the outbox is closed");
  }
}
