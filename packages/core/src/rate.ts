/** So much a second, with one second's worth at once: a token bucket. */

const MS = 1000;

export class Rate {
  readonly perSecond: number;
  #level: number;
  #at = performance.now();

  /** @param perSecond Above 0. */
  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.#level = Math.max(1, perSecond);
  }

  /** Whole seconds until something may be taken, 0 for now. */
  waitSeconds(): number {
    const now = performance.now();
    this.#level = Math.min(Math.max(1, this.perSecond), this.#level + ((now - this.#at) / MS) * this.perSecond);
    this.#at = now;
    // One request below 1 a second still needs a whole one; of bytes it is enough that no debt is left.
    const needed = Math.min(1, this.perSecond);
    return this.#level >= needed ? 0 : Math.ceil((needed - this.#level) / this.perSecond);
  }

  /** More than there is makes a debt, which later calls wait for. */
  take(amount: number): void {
    this.#level -= amount;
  }
}
