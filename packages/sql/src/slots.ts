/** A number of places, and a queue before them. */

import { unavailable } from "@mikcar/core";

export class Slots {
  readonly #count: number;
  #free: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count Places. @param maxWaiting How many may wait for one. */
  constructor(count: number, maxWaiting: number) {
    this.#count = count;
    this.#free = count;
    this.#maxWaiting = maxWaiting;
  }

  /** Places in use. */
  get busy(): number {
    return this.#count - this.#free;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `work` in a place of its own, first come, first served.
   * @throws UNAVAILABLE when too many wait; the reason of the signal when it is aborted before the work began.
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      throw unavailable(`${this.#maxWaiting} calls wait for a place already`, { headers: { "Retry-After": "1" } });
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        reject(signal.reason);
      };
      this.#waiting.push(start);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
