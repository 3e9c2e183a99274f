/** What the broker has refused of late: to ask again at once would cost a channel each time. */

const LONG_MS = 2000;
const MOST = 10_000;

interface Refusal {
  readonly error: unknown;
  readonly until: number;
}

export class Refusals {
  /** The oldest first. */
  readonly #refusals = new Map<string, Refusal>();

  add(what: string, queue: string, error: unknown): void {
    const key = `${what} ${queue}`;
    this.#refusals.delete(key);
    this.#refusals.set(key, { error, until: performance.now() + LONG_MS });
    const [oldest = ""] = this.#refusals.keys();
    if (this.#refusals.size > MOST) this.#refusals.delete(oldest);
  }

  /** @throws the error that was added, unless that was long ago. */
  check(what: string, queue: string): void {
    if (this.#refusals.size === 0) return;
    const key = `${what} ${queue}`;
    const refusal = this.#refusals.get(key);
    if (refusal === undefined) return;
    if (refusal.until > performance.now()) throw refusal.error;
    this.#refusals.delete(key);
  }
}
