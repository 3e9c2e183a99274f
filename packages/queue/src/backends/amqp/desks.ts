/**
 * The channels on which messages are taken. The broker closes a channel with every error, and all leases on it end: so
 * each queue in use has one of its own, the many beyond that share some, and what may be refused is tried apart.
 */

import type { ConsumeMessage, Message } from "amqplib";
import { Clerks } from "./clerks.ts";
import { type Delivery, Desk } from "./desk.ts";
import type { Link } from "./link.ts";
import { Refusals } from "./refusals.ts";
import { isAbsent, replyCode } from "./translate.ts";

/** RabbitMQ allows 2047 channels for a connection, or as few as it is told. */
const OWN = 96;
const SHARED = 32;
/** How many queues are tried at a time. */
const TRYING = 8;
/** After that, a channel on which nothing is held may go to another queue. */
const IDLE_MS = 1000;
const LOOK_FOR_IDLE_MS = 100;
/** How many queues are known as tried. */
const KNOWN = 50_000;

interface Place {
  readonly opening: Promise<Desk>;
  desk: Desk | undefined;
  /** How many calls are under way on it. */
  users: number;
  usedAt: number;
}

export interface Consumer {
  readonly desk: Desk;
  readonly tag: string;
}

export class Desks {
  readonly #link: Link;
  readonly #trials: Clerks;
  readonly #onClosed: () => void;
  /** By queue. */
  readonly #own = new Map<string, Place>();
  readonly #shared: (Place | undefined)[] = [];
  readonly #tried = new Set<string>();
  readonly #refusals = new Refusals();
  #soughtAt = 0;

  /** @param onClosed Called after one of them was closed by the broker, or lost. */
  constructor(link: Link, onClosed: () => void) {
    this.#link = link;
    this.#trials = new Clerks(link, TRYING);
    this.#onClosed = onClosed;
  }

  /** As `Desk.get`. */
  get(queue: string): Promise<Delivery | undefined> {
    return this.#on(queue, "get", (desk) => desk.get(queue));
  }

  /** As `Desk.getSome`. */
  getSome(queue: string, count: number): Promise<readonly Delivery[]> {
    return this.#on(queue, "get", (desk) => desk.getSome(queue, count));
  }

  /** As `Desk.consume`. */
  consume(queue: string, onDelivery: (delivery: Delivery | undefined) => void): Promise<Consumer> {
    return this.#on(queue, "consume", async (desk) => ({ desk, tag: await desk.consume(queue, onDelivery) }));
  }

  /** Everything that was settled is said, and everything else given back. */
  async close(): Promise<void> {
    const places = [...this.#own.values(), ...this.#shared];
    await Promise.allSettled(places.map(async (place) => (await place?.opening)?.close()));
  }

  /** @throws what the broker says, and for a while again without asking it; UNAVAILABLE. */
  async #on<T>(queue: string, what: "get" | "consume", work: (desk: Desk) => Promise<T>): Promise<T> {
    this.#refusals.check(what, queue);
    const own = this.#ownPlace(queue);
    const place = own ?? this.#sharedPlace(queue);
    place.users++;
    try {
      // A `get` on a channel of its own needs no trial. A consumer may be refused where messages are held already.
      if ((own === undefined || what === "consume") && !this.#tried.has(queue)) await this.#try(queue);
      return await work(await place.opening);
    } catch (error) {
      if (replyCode(error) !== undefined) this.#tried.delete(queue);
      if (replyCode(error) !== undefined && !isAbsent(error)) this.#refusals.add(what, queue, error);
      throw error;
    } finally {
      place.users--;
      place.usedAt = performance.now();
    }
  }

  /** All that is done with a queue, on a channel that nobody needs. What it gets is back in its place afterwards. */
  async #try(queue: string): Promise<void> {
    await this.#trials.run(async ({ channel, call }) => {
      const putBack = (message: Message | null): void => {
        if (message !== null) channel.nack(message, false, true);
      };
      const first = await call(channel.get(queue));
      if (first !== false) putBack(first);
      await call(channel.prefetch(1));
      let brought: ConsumeMessage | null = null;
      const { consumerTag } = await call(channel.consume(queue, (message) => (brought = message)));
      await call(channel.cancel(consumerTag));
      putBack(brought);
      await call(channel.checkQueue(queue)); // the queue has done all this when it answers
    });
    this.#tried.add(queue);
    const [oldest = ""] = this.#tried;
    if (this.#tried.size > KNOWN) this.#tried.delete(oldest);
  }

  #ownPlace(queue: string): Place | undefined {
    const known = this.#own.get(queue);
    if (known !== undefined) return known;
    if (this.#own.size >= OWN && !this.#makeRoom()) return undefined;
    const place = this.#open(() => this.#own.get(queue) === place && this.#own.delete(queue));
    this.#own.set(queue, place);
    return place;
  }

  #sharedPlace(queue: string): Place {
    const at = placeOf(queue);
    const known = this.#shared[at];
    if (known !== undefined) return known;
    const place = this.#open(() => this.#shared[at] === place && (this.#shared[at] = undefined));
    this.#shared[at] = place;
    return place;
  }

  /** @returns Whether one of the channels was free. */
  #makeRoom(): boolean {
    const now = performance.now();
    if (now < this.#soughtAt + LOOK_FOR_IDLE_MS) return false;
    for (const [queue, { desk, users, usedAt }] of this.#own) {
      if (users > 0 || desk?.isIdle !== true || now < usedAt + IDLE_MS) continue;
      this.#own.delete(queue);
      desk.close().catch(() => undefined); // it was lost
      return true;
    }
    this.#soughtAt = now;
    return false;
  }

  #open(forget: () => unknown): Place {
    const onClosed = (): void => {
      forget();
      this.#onClosed();
    };
    const opening = this.#link.connection().then((live) => Desk.open(live, onClosed));
    const place: Place = { opening, desk: undefined, users: 0, usedAt: performance.now() };
    opening.then((desk) => (place.desk = desk), forget);
    return place;
  }
}

/** FNV-1a. */
function placeOf(queue: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < queue.length; at++) hash = Math.imul(hash ^ queue.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % SHARED;
}
