/**
 * Messages that this process has settled, in case the broker did not hear of it: it gives them out once more, and then
 * they are settled again instead of being handed out.
 */

import type { Letter } from "./letter.ts";

/** What was decided: it is done with, or given back in this way. */
export type Verdict = "done" | { readonly delayMs: number; readonly reason: string };

interface Entry {
  readonly life: string;
  readonly deliveries: number;
  readonly verdict: Verdict;
  readonly until: number;
}

const MOST = 20_000;
const LONGEST_MS = 10 * 60 * 1000;

export class Settled {
  /** By key, the oldest first. */
  readonly #entries = new Map<string, Entry>();

  /** @param key Of a queue and an id. One whose id is not unique is not remembered. */
  add(key: string, letter: Letter, verdict: Verdict): void {
    if (!letter.isUnique) return;
    const { life, deliveries } = letter;
    this.#entries.delete(key);
    this.#entries.set(key, { life, deliveries, verdict, until: performance.now() + LONGEST_MS });
    if (this.#entries.size <= MOST) return;
    const [oldest = ""] = this.#entries.keys();
    this.#entries.delete(oldest);
  }

  /** Undefined for a message that is new, has been given back since, or lives again after its death. */
  find(key: string, letter: Letter): Verdict | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !letter.isUnique || entry.until < performance.now()) return undefined;
    return entry.life === letter.life && letter.deliveries <= entry.deliveries ? entry.verdict : undefined;
  }
}
