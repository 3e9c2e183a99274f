/** What other programs have taken from a queue and never acknowledged can be taken again after a while. */

import { runScript, type Words } from "@mikcar/redis";
import type { Source } from "../../backend.ts";
import { placeOf } from "./keys.ts";
import { scripts } from "./scripts/index.ts";

/** How long another program may hold a message: the original leased for as long. */
const IDLE_MS = 30_000;
const AGAIN_MS = 60_000;
/** How many queues are remembered as looked through. */
const KNOWN = 10_000;

export class Adoption {
  readonly #send: (words: Words) => Promise<unknown>;
  /** Stream to when it was looked through. */
  readonly #looked = new Map<string, number>();

  /** @param send As `Connection.send`. */
  constructor(send: (words: Words) => Promise<unknown>) {
    this.#send = send;
  }

  /** Looks through a queue that somebody takes from, if that was not done within the last minute. */
  begin(source: Source): void {
    if (source.group !== undefined) return; // other programs know nothing of our topics
    const now = performance.now();
    if (now - (this.#looked.get(source.name) ?? -Infinity) < AGAIN_MS) return;
    this.#looked.delete(source.name);
    this.#looked.set(source.name, now);
    const [oldest = ""] = this.#looked.keys();
    if (this.#looked.size > KNOWN) this.#looked.delete(oldest);
    void this.#lookThrough(source);
  }

  async #lookThrough(source: Source): Promise<void> {
    const { stream, base } = placeOf(source);
    let cursor = "0-0";
    try {
      do {
        cursor = String(await runScript(this.#send, scripts.adopt, ["2", stream, base, String(IDLE_MS), cursor]));
      } while (cursor !== "0-0");
    } catch {
      this.#looked.delete(source.name); // Redis is away; the next take tries again, and whoever takes is told
    }
  }
}
