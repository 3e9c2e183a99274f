/** The channels on which messages are taken: a bounded number, so that queues without number can share a connection. */

import { Desk } from "./desk.ts";
import type { Link } from "./link.ts";

/** RabbitMQ allows 2047 for a connection. An error costs the leases of one. */
const MOST = 128;

export class Desks {
  readonly #link: Link;
  readonly #onClosed: () => void;
  readonly #open: (Promise<Desk> | undefined)[] = [];

  /** @param onClosed Called after one of them was closed by the broker, or lost. */
  constructor(link: Link, onClosed: () => void) {
    this.#link = link;
    this.#onClosed = onClosed;
  }

  /** The same for the same queue, as long as it lives. @throws UNAVAILABLE. */
  of(queue: string): Promise<Desk> {
    const place = placeOf(queue);
    const opening = (this.#open[place] ??= this.#openAt(place));
    return opening;
  }

  /** Everything that was settled is said, and everything else given back. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#open.map(async (opening) => (await opening)?.close()));
  }

  #openAt(place: number): Promise<Desk> {
    const forget = (): void => {
      if (this.#open[place] === opening) this.#open[place] = undefined;
    };
    const onClosed = (): void => {
      forget();
      this.#onClosed();
    };
    const opening = this.#link.connection().then((live) => Desk.open(live, onClosed));
    opening.catch(forget);
    return opening;
  }
}

/** FNV-1a. */
function placeOf(queue: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < queue.length; at++) hash = Math.imul(hash ^ queue.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % MOST;
}
