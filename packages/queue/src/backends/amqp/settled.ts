/**
 * Messages that this process has settled, in case the broker did not hear of it: it gives them out once more, and then
 * they are settled again instead of being handed out.
 */

import type { Desk } from "./desk.ts";
import type { Lease } from "./leases.ts";
import type { Letter } from "./letter.ts";

/** What was decided: it is done with, or given back in this way. */
export type Verdict = "done" | { readonly delayMs: number; readonly reason: string };

interface Entry {
  readonly life: string;
  readonly deliveries: number;
  readonly verdict: Verdict;
  /** Where the broker was told: as long as that is open, it has heard. */
  readonly desk: Desk;
  readonly until: number;
}

const MOST = 20_000;
const LONGEST_MS = 10 * 60 * 1000;

export class Settled {
  /** By key, the oldest first. */
  readonly #entries = new Map<string, Entry>();

  /** One whose id is not unique is not remembered. */
  add({ key, letter, delivery }: Pick<Lease, "key" | "letter" | "delivery">, verdict: Verdict): void {
    if (!letter.isUnique) return;
    const { life, deliveries } = letter;
    this.#entries.delete(key);
    const until = performance.now() + LONGEST_MS;
    this.#entries.set(key, { life, deliveries, verdict, desk: delivery.desk, until });
    if (this.#entries.size <= MOST) return;
    const [oldest = ""] = this.#entries.keys();
    this.#entries.delete(oldest);
  }

  /** Undefined for a message that is new, has been given back since, or lives again after its death. */
  find(key: string, letter: Letter): Verdict | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !letter.isUnique || entry.until < performance.now()) return undefined;
    if (!entry.desk.isClosed) return undefined;
    return entry.life === letter.life && letter.deliveries <= entry.deliveries ? entry.verdict : undefined;
  }
}
