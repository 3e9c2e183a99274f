/** Who holds what until when: one table and one timer for the process. */

import type { Delivery } from "./desk.ts";
import { type Due, Heap } from "./heap.ts";
import type { QueueType } from "./layout.ts";
import type { Letter } from "./letter.ts";

export interface Lease extends Due {
  /** Of the queue and the id. */
  readonly key: string;
  readonly queue: string;
  readonly type: QueueType;
  /** Another one with the delivery. */
  letter: Letter;
  /** Another one when its channel was lost and the message came back, or when there are two of it. */
  delivery: Delivery;
}

export class Leases {
  readonly #byKey = new Map<string, Lease>();
  readonly #byDeadline = new Heap<Lease>();
  readonly #onExpired: (lease: Lease) => void;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;

  /** @param onExpired Called with a lease that is no longer in the table. */
  constructor(onExpired: (lease: Lease) => void) {
    this.#onExpired = onExpired;
  }

  get(key: string): Lease | undefined {
    return this.#byKey.get(key);
  }

  /** Its key must be free. */
  add(lease: Lease): void {
    this.#byKey.set(lease.key, lease);
    this.#byDeadline.add(lease);
    if (lease.deadline < this.#timerAt) this.#wake(lease.deadline);
  }

  end(lease: Lease): void {
    this.#byKey.delete(lease.key);
    this.#byDeadline.remove(lease);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timerAt = -Infinity; // none is set any more
  }

  #wake(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, at - performance.now())).unref();
  }

  #expire(): void {
    this.#timerAt = Infinity;
    const now = performance.now();
    for (let first = this.#byDeadline.first; first !== undefined; first = this.#byDeadline.first) {
      if (first.deadline > now) return this.#wake(first.deadline);
      this.end(first);
      this.#onExpired(first);
    }
  }
}
