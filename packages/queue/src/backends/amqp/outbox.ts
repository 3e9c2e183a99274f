/** Sends messages, and knows of each that the broker has it in a queue. */

import type { ConfirmChannel, Message, Options } from "amqplib";
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
}

export class Outbox {
  readonly #link: Link;
  #counter: Promise<Counter> | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  /**
   * Resolves when the broker has stored all of them. @param makeRoom Called when the broker knows no queue for them; then
   * those are sent again. @throws UNAVAILABLE: then any of them may have been stored.
   */
  async send(address: Address, parcels: readonly Parcel[], makeRoom: () => Promise<unknown>): Promise<void> {
    const left = await this.#try(address, parcels);
    if (left.length === 0) return;
    await makeRoom();
    const lost = await this.#try(address, left);
    if (lost.length > 0) throw away(`there is no way to "${address.routingKey}", although it was just made`);
  }

  /** @returns Those for which there is no queue. */
  async #try(address: Address, parcels: readonly Parcel[]): Promise<readonly Parcel[]> {
    const counter = await this.#ready();
    const [only] = parcels;
    if (only !== undefined && parcels.length === 1) return (await publish(counter, address, only)) ? [] : parcels;
    const isStored = await Promise.all(parcels.map((parcel) => publish(counter, address, parcel)));
    return parcels.filter((_parcel, at) => !isStored[at]);
  }

  async #ready(): Promise<Counter> {
    const counter = await (this.#counter ??= this.#open());
    if (counter.live.isBlocked) throw away("it takes no messages, as it is short of memory or disk");
    return counter;
  }

  #open(): Promise<Counter> {
    const opening = this.#link.connection().then(async (live) => {
      const channel = await live.confirmChannel();
      const returned = new Set<string>();
      channel.on("return", ({ properties }: Message) => returned.add(String(properties.messageId)));
      channel.once("close", forget);
      return { live, channel, returned };
    });
    const forget = (): void => {
      if (this.#counter === opening) this.#counter = undefined;
    };
    opening.catch(forget);
    return opening;
  }
}

/** @returns False when it came back, which the broker tells before it confirms. */
function publish(
  { live, channel, returned }: Counter,
  address: Address,
  { content, options }: Parcel,
): Promise<boolean> {
  const { exchange, routingKey } = address;
  const confirmed = new Promise<boolean>((resolve, reject) => {
    channel.publish(exchange, routingKey, content, options, (error: unknown) => {
      const isReturned = returned.size > 0 && returned.delete(String(options.messageId));
      if (error === null) resolve(!isReturned);
      else reject(away("it did not take the message; its queue may be full", error));
    });
  });
  return live.call(confirmed);
}
