/** Which scripts have lost to others lately: those run one by one, as losing costs more than waiting. */

import { hash } from "node:crypto";

interface Record {
  untilMs: number;
  spanMs: number;
}

const FIRST_SPAN_MS = 1000;
const LONGEST_SPAN_MS = 30_000;
const MAX_TEXTS = 1000;

export class Contention {
  readonly #byText = new Map<string, Record>();

  has(text: string): boolean {
    if (this.#byText.size === 0) return false;
    const record = this.#byText.get(keyOf(text));
    return record !== undefined && record.untilMs > performance.now();
  }

  /** Each loss soon after the last one makes the next span longer: a second at first, half a minute at most. */
  add(text: string): void {
    const key = keyOf(text);
    const now = performance.now();
    const last = this.#byText.get(key);
    const isNew = last === undefined || last.untilMs + last.spanMs < now;
    if (!isNew && last.untilMs > now) return;
    const spanMs = isNew ? FIRST_SPAN_MS : Math.min(LONGEST_SPAN_MS, last.spanMs * 2);
    this.#byText.delete(key); // to the end: the first is the oldest
    this.#byText.set(key, { untilMs: now + spanMs, spanMs });
    if (this.#byText.size > MAX_TEXTS) this.#byText.delete(this.#byText.keys().next().value ?? "");
  }
}

/** Texts can be large, and are not kept here. */
function keyOf(text: string): string {
  return hash("sha1", text);
}
