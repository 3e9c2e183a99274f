/** What was sent under which key, as this process remembers it. */

import { randomUUID } from "node:crypto";
import { IDEMPOTENCY_MS } from "../../limits.ts";

/** How many ids are remembered in all; the oldest are forgotten beyond that. */
const MOST = 200_000;

type Ids = readonly string[];

interface Sent {
  readonly ids: Ids;
  /** Undefined once it has failed: it may have been sent all the same. */
  done: Promise<Ids> | undefined;
  readonly until: number;
}

export class Idempotency {
  /** The oldest first. */
  readonly #sent = new Map<string, Sent>();
  #count = 0;

  /**
   * Sends once; later calls with the same key get the same ids, or wait for the first. One that failed is sent again
   * with the same ids. @param scope Of the key. @param count How many ids there will be.
   */
  once(scope: string, key: string | undefined, count: number, send: (ids: Ids) => Promise<void>): Promise<Ids> {
    if (key === undefined) return sendAs(newIds(count), send);
    const full = `${scope}\n${key}`;
    this.#tidy();
    const known = this.#sent.get(full);
    if (known?.done !== undefined) return known.done;
    const ids = known?.ids.length === count ? known.ids : newIds(count);
    const done = sendAs(ids, send);
    this.#forget(full);
    const sent: Sent = { ids, done, until: performance.now() + IDEMPOTENCY_MS };
    this.#sent.set(full, sent);
    this.#count += count;
    done.catch(() => (sent.done = undefined));
    return done;
  }

  #tidy(): void {
    const now = performance.now();
    for (const [oldest, { until }] of this.#sent) {
      if (this.#count <= MOST && until > now) return;
      this.#forget(oldest);
    }
  }

  #forget(full: string): void {
    this.#count -= this.#sent.get(full)?.ids.length ?? 0;
    this.#sent.delete(full);
  }
}

async function sendAs(ids: Ids, send: (ids: Ids) => Promise<void>): Promise<Ids> {
  await send(ids);
  return ids;
}

function newIds(count: number): Ids {
  return Array.from({ length: count }, () => randomUUID());
}
