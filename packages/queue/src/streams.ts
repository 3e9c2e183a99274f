/** Subscriptions as streams of events. A client holds at most so many messages at a time as it has asked for. */

import type { Call, ServerEvent } from "@mikcar/core";
import type { Message, QueueBackend, Source } from "./backend.ts";
import type { Errands } from "./errands.ts";
import type { Wanted } from "./line.ts";
import { sourceName, type Waiting } from "./waiting.ts";

export class Streams {
  readonly #backend: QueueBackend;
  readonly #waiting: Waiting;
  readonly #errands: Errands;
  readonly #open = new Map<string, Set<Stream>>();

  constructor(backend: QueueBackend, waiting: Waiting, errands: Errands) {
    this.#backend = backend;
    this.#waiting = waiting;
    this.#errands = errands;
  }

  /** A message was acknowledged or given back: its stream has room for another. */
  settled(source: Source, id: string): void {
    for (const stream of this.#open.get(sourceName(source)) ?? []) stream.settled(id);
  }

  /** Messages as they come, until the caller ends. One that could not be sent goes back. @param show The JSON of a message. */
  async *events(
    source: Source,
    wanted: Omit<Wanted, "waitMs"> & { readonly caller: Pick<Call, "ending" | "whenEnding"> },
    show: (message: Message) => string,
  ): AsyncGenerator<readonly ServerEvent[]> {
    const { max, visibilityMs, caller } = wanted;
    const stream = this.#begin(source, visibilityMs);
    try {
      while (!caller.ending.aborted) {
        const room = max - stream.size;
        if (room <= 0) await stream.change(caller.ending);
        else {
          const messages = await this.#waiting.take(source, { ...wanted, max: room, waitMs: Infinity });
          if (messages.length > 0) yield* this.#send(source, messages, stream, show);
        }
      }
    } finally {
      this.#end(source, stream);
    }
  }

  async *#send(
    source: Source,
    messages: readonly Message[],
    stream: Stream,
    show: (message: Message) => string,
  ): AsyncGenerator<readonly ServerEvent[]> {
    let isSent = false;
    for (const { id } of messages) stream.sent(id); // before it can be acknowledged
    try {
      yield messages.map((message) => ({ id: message.id, data: show(message) }));
      isSent = true;
    } finally {
      if (!isSent) {
        const ids = messages.map(({ id }) => id);
        this.#errands.run(() => this.#backend.release(source, ids), stream.visibilityMs);
      }
    }
  }

  /** Clients that have one open. */
  get size(): number {
    let size = 0;
    for (const streams of this.#open.values()) size += streams.size;
    return size;
  }

  #begin(source: Source, visibilityMs: number): Stream {
    const stream = new Stream(visibilityMs);
    const name = sourceName(source);
    this.#open.set(name, (this.#open.get(name) ?? new Set()).add(stream));
    return stream;
  }

  #end(source: Source, stream: Stream): void {
    const name = sourceName(source);
    const streams = this.#open.get(name);
    streams?.delete(stream);
    if (streams?.size === 0) this.#open.delete(name);
  }
}

/** What one client holds. An acknowledgement that goes through another sidecar counts only when the lease has run out. */
class Stream {
  readonly visibilityMs: number;
  /** Id to the end of its lease, the oldest first. */
  readonly #held = new Map<string, number>();
  #onChange: (() => void) | undefined;

  constructor(visibilityMs: number) {
    this.visibilityMs = visibilityMs;
  }

  get size(): number {
    const now = performance.now();
    for (const [id, end] of this.#held) {
      if (end > now) break;
      this.#held.delete(id);
    }
    return this.#held.size;
  }

  sent(id: string): void {
    this.#held.delete(id);
    this.#held.set(id, performance.now() + this.visibilityMs);
  }

  settled(id: string): void {
    if (this.#held.delete(id)) this.#onChange?.();
  }

  /** Resolves when one is settled, when the oldest lease has run out, or when `ending` aborts. */
  change(ending: AbortSignal): Promise<void> {
    const [oldest = 0] = this.#held.values();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        ending.removeEventListener("abort", done);
        this.#onChange = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, oldest - performance.now()));
      this.#onChange = done;
      ending.addEventListener("abort", done);
    });
  }
}
