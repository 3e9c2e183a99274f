/** What was sent under which key, as this process remembers it. */

import { IDEMPOTENCY_MS } from "../../limits.ts";

/** How many ids are remembered in all; the oldest are forgotten beyond that. */
const MOST = 200_000;

type Ids = readonly string[];

interface Sent {
  readonly ids: Promise<Ids>;
  readonly count: number;
  readonly until: number;
}

export class Idempotency {
  /** The oldest first. */
  readonly #sent = new Map<string, Sent>();
  #count = 0;

  /**
   * Sends once; later calls with the same key get the same ids, or wait for the first. One that failed is forgotten.
   * @param scope Of the key. @param count How many ids there will be.
   */
  once(scope: string, key: string | undefined, count: number, send: () => Promise<Ids>): Promise<Ids> {
    if (key === undefined) return send();
    const full = `${scope}\n${key}`;
    this.#tidy();
    const known = this.#sent.get(full);
    if (known !== undefined) return known.ids;
    const ids = send();
    this.#sent.set(full, { ids, count, until: performance.now() + IDEMPOTENCY_MS });
    this.#count += count;
    ids.catch(() => this.#forget(full));
    return ids;
  }

  #tidy(): void {
    const now = performance.now();
    for (const [oldest, { until }] of this.#sent) {
      if (this.#count <= MOST && until > now) return;
      this.#forget(oldest);
    }
  }

  #forget(full: string): void {
    this.#count -= this.#sent.get(full)?.count ?? 0;
    this.#sent.delete(full);
  }
}
