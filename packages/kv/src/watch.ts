/** Those who watch keys: what has happened waits for each of them until it is read. */

import { MikcarError, unavailable } from "@mikcar/core";
import type { Change } from "./backend.ts";
import type { Glob } from "./glob.ts";
import type { Entry } from "./plan.ts";

/** How many changes may wait for one who reads too slowly. */
const MOST_WAITING = 10_000;

/** The watches of one backend. */
export class Watches {
  readonly #open = new Set<Watch>();

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** @param onEnd Called once, whatever ends it. */
  open(glob: Glob, ending: AbortSignal, onEnd?: () => void): Watch {
    const watch = new Watch(glob, ending, () => {
      this.#open.delete(watch);
      onEnd?.();
    });
    this.#open.add(watch);
    if (ending.aborted) watch.end();
    return watch;
  }

  tell(changes: readonly Change[]): void {
    for (const watch of this.#open) watch.tell(changes);
  }

  /** Ends all; with an error when changes may be missed. */
  end(error?: MikcarError): void {
    for (const watch of this.#open) watch.end(error);
  }
}

/** Changes in batches, each as large as what has come since the one before. It is read once. */
export class Watch implements AsyncIterable<readonly Change[]> {
  readonly #glob: Glob;
  readonly #ending: AbortSignal;
  readonly #onEnd: () => void;
  readonly #onAbort = (): void => this.end();
  #waiting: Change[] = [];
  #wake: (() => void) | undefined;
  #error: MikcarError | undefined;
  #isOver = false;

  constructor(glob: Glob, ending: AbortSignal, onEnd: () => void) {
    this.#glob = glob;
    this.#ending = ending;
    this.#onEnd = onEnd;
    ending.addEventListener("abort", this.#onAbort);
  }

  tell(changes: readonly Change[]): void {
    if (this.#isOver) return;
    for (const change of changes) if (this.#glob.matches(change.key)) this.#waiting.push(change);
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting = [];
      this.end(
        new MikcarError(
          "TOO_MANY_REQUESTS",
          `more than ${MOST_WAITING} changes were waiting to be read; watch again, and read faster`,
        ),
      );
    } else if (this.#waiting.length > 0) this.#wake?.();
  }

  end(error?: MikcarError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#ending.removeEventListener("abort", this.#onAbort);
    this.#wake?.();
    this.#onEnd();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Change[], void, undefined> {
    try {
      for (;;) {
        const batch = this.#waiting;
        this.#waiting = [];
        if (batch.length > 0) yield batch;
        else if (this.#error !== undefined) throw this.#error;
        else if (this.#isOver) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.end();
    }
  }
}

/** What those who watch are told when `key`, which was in this state, becomes `entry`. Its expiry alone is no news. */
export function changesOf(
  key: string,
  entry: Entry | undefined,
  state: "live" | "expired" | "absent",
): readonly Change[] {
  const before: readonly Change[] = state === "expired" ? [{ type: "expired", key }] : [];
  if (entry === undefined) return state === "live" ? [{ type: "del", key }] : before;
  return entry.value === undefined ? before : [...before, { type: "set", key }];
}

export function mayHaveMissed(reason: string, cause?: unknown): MikcarError {
  return unavailable(`watching ended, as changes may have been missed: ${reason}`, { cause });
}
