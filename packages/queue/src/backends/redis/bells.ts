/** Tells those who wait that messages may have come: a channel for each source, and a look for what other programs add. */

import type { Words } from "@mikcar/redis";
import { runScript, type Subscriber } from "@mikcar/redis";
import type { Source, StopListening } from "../../backend.ts";
import { placeOf } from "./keys.ts";
import { scripts } from "./scripts/index.ts";

/** A program that adds to a stream by itself rings no bell; its message is found within this time. */
const LOOK_MS = 900;
const LOOK_AT_ONCE = 500;

interface Watched {
  readonly rings: Set<() => void>;
  /** The last entry of the stream when it was looked at. */
  lastId: string | undefined;
}

export class Bells {
  readonly #subscriber: Subscriber;
  readonly #send: (words: Words) => Promise<unknown>;
  readonly #prefix: string;
  /** By stream. */
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** @param send As `Connection.send`. @param prefix Of the channels. */
  constructor(subscriber: Subscriber, send: (words: Words) => Promise<unknown>, prefix: string) {
    this.#subscriber = subscriber;
    this.#send = send;
    this.#prefix = prefix;
  }

  async listen(source: Source, ring: () => void): Promise<StopListening> {
    const { stream, base } = placeOf(source);
    const stop = await this.#subscriber.listen(this.#prefix + base, ring);
    const watched = this.#watched.get(stream) ?? { rings: new Set(), lastId: undefined };
    this.#watched.set(stream, watched);
    watched.rings.add(ring);
    this.#timer ??= this.#lookLater();
    return () => {
      stop();
      watched.rings.delete(ring);
      if (watched.rings.size === 0 && this.#watched.get(stream) === watched) this.#watched.delete(stream);
    };
  }

  close(): Promise<void> {
    this.#watched.clear();
    clearTimeout(this.#timer);
    return this.#subscriber.close();
  }

  #lookLater(): NodeJS.Timeout {
    return setTimeout(() => void this.#look(), LOOK_MS).unref();
  }

  async #look(): Promise<void> {
    const streams = [...this.#watched.keys()];
    for (let at = 0; at < streams.length; at += LOOK_AT_ONCE) await this.#lookAt(streams.slice(at, at + LOOK_AT_ONCE));
    this.#timer = this.#watched.size > 0 ? this.#lookLater() : undefined;
  }

  /** Redis being away is news as well: whoever takes is told. */
  async #lookAt(streams: readonly string[]): Promise<void> {
    let ids: readonly unknown[] = [];
    try {
      ids = (await runScript(this.#send, scripts.lastIds, [String(streams.length), ...streams])) as readonly unknown[]; // as the script ends
    } catch {
      for (const stream of streams) this.#ring(stream);
    }
    ids.forEach((id, index) => {
      const stream = streams[index] as string; // one for each
      const watched = this.#watched.get(stream);
      const lastId = String(id);
      if (watched !== undefined && watched.lastId !== lastId && lastId !== "") this.#ring(stream);
      if (watched !== undefined) watched.lastId = lastId;
    });
  }

  #ring(stream: string): void {
    for (const ring of this.#watched.get(stream)?.rings ?? []) ring();
  }
}
