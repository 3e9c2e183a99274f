/** Sends messages, and knows of each that the broker has it in a queue. */

import { payloadTooLarge } from "@mikcar/core";
import type { ConfirmChannel, Message, Options } from "amqplib";
import { withOwnHeaders } from "./letter.ts";
import type { Link } from "./link.ts";
import type { Live } from "./live.ts";
import { away } from "./translate.ts";

/** Where a message goes. */
export interface Address {
  /** Empty: the queue named by the routing key. */
  readonly exchange: string;
  readonly routingKey: string;
}

export interface Parcel {
  readonly content: Buffer;
  /** With an id, and mandatory. */
  readonly options: Options.Publish;
}

interface Counter {
  readonly live: Live;
  readonly channel: ConfirmChannel;
  /** Ids of what came back, as there is no queue for it. */
  readonly returned: Set<string>;
  /** What the broker said when it closed the channel. */
  refusal: string | undefined;
  /** Nothing more is sent on it. */
  isRetired: boolean;
}

type MakeRoom = () => Promise<unknown>;
type Size = "small" | "large";

/** Larger ones have a channel of their own: a broker that finds one too large closes its channel. */
const LARGE_BYTES = 1024 * 1024;
const TOO_LARGE = /is larger than configured max size (\d+)/;
const EXCHANGE = /exchange '([^']*)'/;
/** How often a message is sent whose channel was closed for the sake of others. */
const TRIES = 4;

export class Outbox {
  readonly #link: Link;
  readonly #counters = new Map<Size, Promise<Counter>>();
  /** The connection for which `#mostBytes` was learnt. */
  #live: Live | undefined;
  #mostBytes = Infinity;

  constructor(link: Link) {
    this.#link = link;
  }

  /**
   * Resolves when the broker has stored all of them. @param makeRoom Called when the broker knows no queue for them; then
   * those are sent again. @throws UNAVAILABLE: then any of them may have been stored; PAYLOAD_TOO_LARGE.
   */
  async send(address: Address, parcels: readonly Parcel[], makeRoom: MakeRoom): Promise<void> {
    const [only] = parcels;
    if (only !== undefined && parcels.length === 1) return this.#sendOne(address, only, sizeOf(parcels), makeRoom);
    for (const result of await this.sendEach(address, parcels, makeRoom))
      if (result.status === "rejected") throw result.reason;
  }

  /** As `send`, telling what became of each. */
  sendEach(
    address: Address,
    parcels: readonly Parcel[],
    makeRoom: MakeRoom,
  ): Promise<readonly PromiseSettledResult<void>[]> {
    const size = sizeOf(parcels); // they go in order, so by one channel
    let made: Promise<unknown> | undefined;
    const makeOnce = (): Promise<unknown> => (made ??= makeRoom());
    return Promise.allSettled(parcels.map((parcel) => this.#sendOne(address, parcel, size, makeOnce)));
  }

  async #sendOne(address: Address, parcel: Parcel, size: Size, makeRoom: MakeRoom): Promise<void> {
    if (await this.#deliver(address, parcel, size)) return;
    await makeRoom();
    if (await this.#deliver(address, parcel, size)) return;
    throw away(`there is no way to "${address.routingKey}", although it was just made`);
  }

  /** @returns False when there is no queue for it. */
  async #deliver(address: Address, parcel: Parcel, size: Size): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const counter = await this.#ready(size);
      if (parcel.content.length > this.#mostBytes) throw payloadTooLarge(this.#mostBytes);
      try {
        return await publish(counter, address, parcel, () => this.#retire(size, counter));
      } catch (error) {
        if (tries === TRIES || !this.#isOthersFault(counter.refusal, address)) throw error;
      }
    }
  }

  /** Whether what the broker has refused was another message, or may have been: one that is too large is known next time. */
  #isOthersFault(refusal = "", { exchange }: Address): boolean {
    const [, mostBytes] = TOO_LARGE.exec(refusal) ?? [];
    if (mostBytes !== undefined) this.#mostBytes = Number(mostBytes);
    const [, refused] = EXCHANGE.exec(refusal) ?? [];
    return mostBytes !== undefined || (refused !== undefined && refused !== exchange);
  }

  async #ready(size: Size): Promise<Counter> {
    const counter = await (this.#counters.get(size) ?? this.#open(size));
    if (counter.live.isBlocked) throw counter.live.blockage();
    return counter;
  }

  /** One message is not confirmed in time, and those behind it may be held up: new ones take another channel. */
  #retire(size: Size, counter: Counter): void {
    if (counter.isRetired) return;
    counter.isRetired = true;
    this.#counters.delete(size);
    const end = (): void => void counter.channel.close().catch(() => undefined); // it was lost
    setTimeout(end, counter.live.timeoutMs).unref(); // nobody waits for a confirm on it then
  }

  #open(size: Size): Promise<Counter> {
    const opening = this.#link.connection().then(async (live) => {
      if (live.isBlocked) throw live.blockage(); // it would not answer
      const channel = await live.confirmChannel();
      const counter: Counter = { live, channel, returned: new Set(), refusal: undefined, isRetired: false };
      channel.on("return", ({ properties }: Message) => counter.returned.add(String(properties.messageId)));
      channel.once("error", (error: Error) => (counter.refusal = error.message));
      channel.once("close", forget);
      if (live !== this.#live) [this.#live, this.#mostBytes] = [live, Infinity];
      return counter;
    });
    const forget = (): void => {
      if (this.#counters.get(size) === opening) this.#counters.delete(size);
    };
    this.#counters.set(size, opening);
    opening.catch(forget);
    return opening;
  }
}

function sizeOf(parcels: readonly Parcel[]): Size {
  return parcels.some(({ content }) => content.length > LARGE_BYTES) ? "large" : "small";
}

/** @returns False when it came back, which the broker tells before it confirms. */
function publish(
  { live, channel, returned }: Counter,
  { exchange, routingKey }: Address,
  { content, options }: Parcel,
  onLate: () => void,
): Promise<boolean> {
  const confirmed = new Promise<boolean>((resolve, reject) => {
    const onConfirmed = (error: unknown): void => {
      const isReturned = returned.size > 0 && returned.delete(String(options.messageId));
      if (error === null) resolve(!isReturned);
      else reject(away("it did not take the message; its queue may be full", error));
    };
    try {
      channel.publish(exchange, routingKey, content, options, onConfirmed);
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      channel.publish(exchange, routingKey, content, withOwnHeaders(options), onConfirmed);
    }
  });
  return live.call(confirmed, onLate);
}

/** Headers of other programs may hold what amqplib reads and cannot write, such as a large double. */
function isUnwritable(error: unknown): boolean {
  // by name: it may come from Node itself, with a class of its own
  return ["RangeError", "TypeError"].includes((error as Error).name);
}
