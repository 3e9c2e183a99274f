/**
 * The takers of one source, first come, first served. One `take` at a time serves as many of them as it brings messages
 * for, so the consumers of a busy queue share its round trips.
 */

import type { Call } from "@mikcar/core";
import type { Errands } from "./errands.ts";
import type { Message, QueueBackend, Source, StopListening } from "./backend.ts";

export interface Wanted {
  readonly max: number;
  readonly visibilityMs: number;
  /** 0: only what is there. */
  readonly waitMs: number;
  /** Asked for only when there is something to wait for. */
  readonly caller: Pick<Call, "whenEnding">;
}

class Taker {
  readonly wanted: Wanted;
  readonly joinedAt = performance.now();
  readonly result: Promise<readonly Message[]>;
  settle!: (messages: readonly Message[]) => void; // both are set by the promise at once
  fail!: (reason: unknown) => void;
  /** Undoes what its waiting has set up. */
  stopWaiting: (() => void) | undefined;

  constructor(wanted: Wanted) {
    this.wanted = wanted;
    this.result = new Promise((settle, fail) => {
      this.settle = settle;
      this.fail = fail;
    });
  }
}

/** How many messages one call to the backend asks for. */
const MOST = 256;
/** What a timer can hold. */
const LONGEST_MS = 2 ** 31 - 1;

export class Line {
  readonly #backend: QueueBackend;
  readonly #errands: Errands;
  readonly #source: Source;
  readonly #onEmpty: () => void;
  readonly #takers = new Set<Taker>();
  /** The work that is under way for them. */
  #serving: Promise<void> | undefined;
  /** Something may have come since the last `take` began. */
  #isRung = false;
  #stopListening: StopListening | undefined;
  #nextDue: NodeJS.Timeout | undefined;

  /** @param onEmpty Called when nobody is left in it; it can be used again. */
  constructor(backend: QueueBackend, errands: Errands, source: Source, onEmpty: () => void) {
    this.#backend = backend;
    this.#errands = errands;
    this.#source = source;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#takers.size;
  }

  join(wanted: Wanted): Promise<readonly Message[]> {
    const taker = new Taker(wanted);
    this.#takers.add(taker);
    this.#ring();
    return taker.result;
  }

  async close(): Promise<void> {
    for (const taker of this.#takers) this.#dismiss(taker, []);
    await this.#serving;
    this.#end();
  }

  readonly #ring = (): void => {
    this.#isRung = true;
    this.#serving ??= new Promise((resolve) => {
      setImmediate(() => void this.#serve().then(resolve)); // after all takers of this turn have joined
    });
  };

  async #serve(): Promise<void> {
    while (this.#isRung && this.#takers.size > 0) {
      this.#isRung = false;
      const visibilityMs = this.#first?.visibilityMs ?? 0;
      try {
        await this.#serveOnce(visibilityMs);
      } catch (error) {
        this.#refuse(visibilityMs, error);
        this.#isRung = true; // it may be no fault for the others
      }
    }
    this.#serving = undefined;
    if (this.#takers.size === 0) this.#end();
    else if (this.#isRung) this.#ring();
  }

  get #first(): Wanted | undefined {
    const [first] = this.#takers;
    return first?.wanted;
  }

  async #serveOnce(visibilityMs: number): Promise<void> {
    const asked = [...this.#takers];
    const { messages, nextInMs } = await this.#backend.take(this.#source, this.#demand(visibilityMs), visibilityMs);
    this.#hand(messages, visibilityMs);
    if (nextInMs === 0) this.#isRung = true;
    else for (const taker of asked) this.#letWait(taker);
    if (this.#takers.size === 0) return;
    this.#lookAgainIn(nextInMs);
    if (this.#stopListening !== undefined || nextInMs === 0) return;
    this.#stopListening = await this.#backend.listen(this.#source, this.#ring);
    this.#isRung = true; // what came before may not have rung
  }

  #demand(visibilityMs: number): number {
    let demand = 0;
    for (const { wanted } of this.#takers) {
      if (wanted.visibilityMs === visibilityMs) demand += wanted.max;
      if (demand >= MOST) return MOST;
    }
    return demand;
  }

  /** Shares messages out evenly among those whose lease they have. */
  #hand(messages: readonly Message[], visibilityMs: number): void {
    const takers = [...this.#takers].filter(({ wanted }) => wanted.visibilityMs === visibilityMs);
    let at = 0;
    takers.forEach((taker, index) => {
      const share = Math.min(taker.wanted.max, Math.ceil((messages.length - at) / (takers.length - index)));
      if (share > 0) this.#dismiss(taker, messages.slice(at, at + share));
      at += share;
    });
    if (at < messages.length) this.#release(messages.slice(at), visibilityMs);
  }

  /** Those who were to get them have left meanwhile. */
  #release(messages: readonly Message[], visibilityMs: number): void {
    const ids = messages.map(({ id }) => id);
    this.#errands.run(async () => {
      await this.#backend.release(this.#source, ids);
      this.#ring();
    }, visibilityMs);
  }

  /** Nothing is there for this one: it goes, or waits from now on. */
  #letWait(taker: Taker): void {
    if (!this.#takers.has(taker) || taker.stopWaiting !== undefined) return;
    const { waitMs, caller } = taker.wanted;
    const leftMs = taker.joinedAt + waitMs - performance.now();
    if (leftMs <= 0) return this.#dismiss(taker, []);
    const leave = (): void => {
      this.#dismiss(taker, []);
      if (this.#takers.size === 0 && this.#serving === undefined) this.#end();
    };
    const timer = setTimeout(leave, Math.min(leftMs, LONGEST_MS));
    taker.stopWaiting = () => clearTimeout(timer);
    const forget = caller.whenEnding(leave);
    taker.stopWaiting = () => {
      clearTimeout(timer);
      forget();
    };
  }

  #dismiss(taker: Taker, messages: readonly Message[]): void {
    this.#takers.delete(taker);
    taker.stopWaiting?.();
    taker.settle(messages);
  }

  #refuse(visibilityMs: number, error: unknown): void {
    for (const taker of this.#takers) {
      if (taker.wanted.visibilityMs !== visibilityMs) continue;
      this.#takers.delete(taker);
      taker.stopWaiting?.();
      taker.fail(error);
    }
  }

  #lookAgainIn(milliseconds: number | undefined): void {
    clearTimeout(this.#nextDue);
    this.#nextDue = undefined;
    if (milliseconds !== undefined) this.#nextDue = setTimeout(this.#ring, Math.min(milliseconds, LONGEST_MS));
  }

  #end(): void {
    clearTimeout(this.#nextDue);
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#onEmpty();
  }
}
