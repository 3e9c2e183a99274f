/** What is to be done for messages whose call has ended: once, and again while the broker is away. */

const AGAIN_MS = 500;

export class Errands {
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  /** @param work What fails as long as the broker is away. @param forMs After that it is of no use: a lease is over. */
  run(work: () => Promise<unknown>, forMs: number): void {
    const running = this.#persist(work, performance.now() + forMs);
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
  }

  /** Each is tried once more at most. Resolves when none is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #persist(work: () => Promise<unknown>, until: number): Promise<void> {
    for (;;) {
      const isLast = this.#closing.signal.aborted;
      try {
        await work();
        return;
      } catch {
        if (isLast || performance.now() > until) return; // the lease runs out, and the message comes again
      }
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const { signal } = this.#closing;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, AGAIN_MS);
      signal.addEventListener("abort", done);
    });
  }
}
