/** Who waits for messages: one line of takers for each source that somebody wants something of, and none for the others. */

import { unavailable } from "@mikcar/core";
import type { Message, QueueBackend, Source } from "./backend.ts";
import type { Errands } from "./errands.ts";
import { Line, type Wanted } from "./line.ts";

export class Waiting {
  readonly #backend: QueueBackend;
  readonly #errands: Errands;
  readonly #lines = new Map<string, Line>();
  #isClosed = false;

  constructor(backend: QueueBackend, errands: Errands) {
    this.#backend = backend;
    this.#errands = errands;
  }

  /**
   * Leased messages: at once when there are some, else as soon as one comes; none after `waitMs` or when the caller ends.
   * Whoever gets none has taken none. @throws as the backend.
   */
  take(source: Source, wanted: Wanted): Promise<readonly Message[]> {
    if (this.#isClosed) return Promise.reject(unavailable("the queues are closed"));
    return this.#line(source).join(wanted);
  }

  /** Takers that wait. */
  get size(): number {
    let size = 0;
    for (const line of this.#lines.values()) size += line.size;
    return size;
  }

  /** Everybody who waits gets nothing. Resolves when no call to the backend is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#lines.values()].map((line) => line.close()));
  }

  #line(source: Source): Line {
    const name = sourceName(source);
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const line = new Line(this.#backend, this.#errands, source, () => {
      if (this.#lines.get(name) === line) this.#lines.delete(name);
    });
    this.#lines.set(name, line);
    return line;
  }
}

/** Tells sources apart: no name holds a control character. */
export function sourceName({ name, group }: Source): string {
  return group === undefined ? name : `${name}\n${group}`;
}
