/**
 * Final pops: a message leaves the broker once its answer has left the sidecar. Until then it is leased, so that a
 * client that goes away in between, or a sidecar that is killed, gives it back.
 */

import type { QueueBackend, Source } from "./backend.ts";
import type { Errands } from "./errands.ts";
import { sourceName } from "./waiting.ts";

/** Longer than a slow client is given to read its answer, with the default TIMEOUT_SECONDS. */
export const FINAL_LEASE_MS = 35_000;
/** How many ids are known as taken, for a client that acknowledges them all the same. */
const KNOWN = 10_000;

interface Sent {
  readonly source: Source;
  readonly ids: string[];
}

export class Finals {
  readonly #backend: QueueBackend;
  /** What was sent in this turn, by source. */
  #sent = new Map<string, Sent>();
  readonly #known = new Set<string>();
  readonly #errands: Errands;

  constructor(backend: QueueBackend, errands: Errands) {
    this.#backend = backend;
    this.#errands = errands;
  }

  /** Its answer was sent: it is removed, with all others of the same moment. */
  settle(source: Source, id: string): void {
    const name = sourceName(source);
    this.#remember(`${name}\n${id}`);
    const sent = this.#sent.get(name);
    if (sent !== undefined) return void sent.ids.push(id);
    if (this.#sent.size === 0) setImmediate(() => this.flush());
    this.#sent.set(name, { source, ids: [id] });
  }

  /** Whether a final pop of this process has taken it just now. */
  hasTaken(source: Source, id: string): boolean {
    return this.#known.has(`${sourceName(source)}\n${id}`);
  }

  /** Hands over what was sent in this turn. */
  flush(): void {
    const sent = this.#sent;
    this.#sent = new Map();
    for (const { source, ids } of sent.values()) {
      this.#errands.run(() => this.#backend.ack(source, ids), FINAL_LEASE_MS);
    }
  }

  #remember(name: string): void {
    this.#known.add(name);
    if (this.#known.size <= KNOWN) return;
    const [oldest = ""] = this.#known;
    this.#known.delete(oldest);
  }
}
