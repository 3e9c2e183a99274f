/** Which scripts have lost to others lately: those run one by one, as losing costs more than waiting. */

import { hash } from "node:crypto";

/** How long a text runs one by one, on the clock of `performance.now()`. */
interface Loss {
  readonly untilMs: number;
  readonly spanMs: number;
}

const FIRST_SPAN_MS = 1000;
const LONGEST_SPAN_MS = 30_000;
const MAX_TEXTS = 1000;

export class Contention {
  /** By the hash of the script. */
  readonly #losses = new Map<string, Loss>();

  has(text: string): boolean {
    if (this.#losses.size === 0) return false;
    const loss = this.#losses.get(keyOf(text));
    return loss !== undefined && loss.untilMs > performance.now();
  }

  /** Each loss soon after the last one makes the next span longer: a second at first, half a minute at most. */
  add(text: string): void {
    const key = keyOf(text);
    const now = performance.now();
    const last = this.#losses.get(key);
    const isNew = last === undefined || last.untilMs + last.spanMs < now;
    if (!isNew && last.untilMs > now) return;
    const spanMs = isNew ? FIRST_SPAN_MS : Math.min(LONGEST_SPAN_MS, last.spanMs * 2);
    this.#losses.delete(key); // to the end: the first is the oldest
    this.#losses.set(key, { untilMs: now + spanMs, spanMs });
    if (this.#losses.size > MAX_TEXTS) this.#losses.delete(this.#losses.keys().next().value ?? "");
  }
}

/** Texts can be large, and are not kept here. */
function keyOf(text: string): string {
  return hash("sha1", text);
}
