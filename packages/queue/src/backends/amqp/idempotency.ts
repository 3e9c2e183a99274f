/** What was sent under which key, as this process remembers it. */

import { IDEMPOTENCY_MS } from "../../limits.ts";

const MOST = 100_000;

type Ids = readonly string[];

export class Idempotency {
  /** The oldest first. */
  readonly #sent = new Map<string, { readonly ids: Promise<Ids>; readonly until: number }>();

  /** Sends once; later calls with the same key get the same ids, or wait for the first. One that failed is forgotten. */
  once(scope: "queue" | "topic", name: string, key: string | undefined, send: () => Promise<Ids>): Promise<Ids> {
    if (key === undefined) return send();
    const full = `${scope}\n${name}\n${key}`;
    const now = performance.now();
    for (const [oldest, { until }] of this.#sent) {
      if (this.#sent.size <= MOST && until > now) break;
      this.#sent.delete(oldest);
    }
    const known = this.#sent.get(full);
    if (known !== undefined) return known.ids;
    const ids = send();
    this.#sent.set(full, { ids, until: now + IDEMPOTENCY_MS });
    ids.catch(() => this.#sent.delete(full));
    return ids;
  }
}
