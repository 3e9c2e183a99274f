/** What was sent under which key, as this process remembers it. */

const REMEMBERED_MS = 24 * 60 * 60 * 1000;
/** How many keys are remembered; beyond that the oldest are forgotten. */
const MOST = 100_000;

interface Sent<T> {
  readonly receipt: Promise<T>;
  readonly until: number;
}

export class Idempotency<T> {
  /** The oldest first. */
  readonly #sent = new Map<string, Sent<T>>();

  /** Sends once; later calls with the same key get the same receipt, or wait for it. One that failed is forgotten. */
  once(key: string | undefined, send: () => Promise<T>): Promise<T> {
    if (key === undefined) return send();
    const known = this.#sent.get(key);
    if (known !== undefined && known.until > Date.now()) return known.receipt;
    this.#sent.delete(key);
    this.#makeRoom();
    const receipt = send();
    const entry = { receipt, until: Date.now() + REMEMBERED_MS };
    this.#sent.set(key, entry);
    receipt.catch(() => {
      if (this.#sent.get(key) === entry) this.#sent.delete(key); // it may have been forgotten, and used anew
    });
    return receipt;
  }

  #makeRoom(): void {
    const now = Date.now();
    for (const [oldest, { until }] of this.#sent) {
      if (this.#sent.size < MOST && until > now) return;
      this.#sent.delete(oldest);
    }
  }
}
