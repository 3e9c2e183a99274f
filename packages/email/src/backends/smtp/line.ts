/** Those who wait for one of a few places. */

interface Waiting {
  readonly enter: () => void;
  readonly refuse: (error: Error) => void;
}

export class Line {
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Does the work when a place is free, in the order of the calls. @throws what the work does, or what `refuse` was told. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((enter, refuse) => this.#waiting.push({ enter, refuse }));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next.enter();
    }
  }

  /** Sends all away who wait now. */
  refuse(error: Error): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
  }
}
