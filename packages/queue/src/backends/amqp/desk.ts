/** A channel on which messages are taken. What is taken on it and not settled goes back to its queue when it closes. */

import type { Channel, GetMessage } from "amqplib";
import type { Live } from "./live.ts";

/** A message in our hands, until it is acknowledged or given back on the channel that brought it. */
export interface Delivery {
  readonly desk: Desk;
  readonly message: GetMessage;
  isSettled: boolean;
}

let tags = 0;

export class Desk {
  isClosed = false;
  readonly #live: Live;
  readonly #channel: Channel;
  readonly #onClosed: () => void;
  /** What the next consumer on it gets at a time. */
  #prefetch = 0;
  /** Of the consumers that have not been cancelled. */
  readonly #tags = new Set<string>();
  #held = 0;

  private constructor(live: Live, channel: Channel, onClosed: () => void) {
    this.#live = live;
    this.#channel = channel;
    // amqplib would throw, and the message would lie about until the channel closes.
    channel.prependListener("delivery", (message) => {
      if (!this.#tags.has(message.fields.consumerTag)) channel.nack(message, false, true);
    });
    this.#onClosed = onClosed;
    channel.once("close", this.#end);
  }

  /** Nothing was taken on it that is not settled, and no consumer is there. */
  get isIdle(): boolean {
    return this.#held === 0 && this.#tags.size === 0;
  }

  static async open(live: Live, onClosed: () => void): Promise<Desk> {
    return new Desk(live, await live.channel(), onClosed);
  }

  /** The first message of a queue; undefined when it is empty. */
  async get(queue: string): Promise<Delivery | undefined> {
    const message = await this.#call(this.#channel.get(queue));
    return message === false ? undefined : this.#delivery(message);
  }

  /**
   * The first messages of a queue, for the price of two calls: a consumer that is cancelled as soon as it is there. The
   * broker gives it what it may have before it answers the cancel, and nothing afterwards.
   */
  async getSome(queue: string, count: number): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    const { tag, consuming } = this.#begin(queue, count, (message) => {
      if (message !== null) taken.push(this.#delivery(message));
    });
    await Promise.all([this.#call(consuming), this.cancel(tag)]);
    return taken;
  }

  /**
   * Calls `onDelivery` with one message at a time: with the next when that is settled.
   * With undefined when the broker ends this, as the queue was deleted. @returns The tag to cancel it by.
   */
  async consume(queue: string, onDelivery: (delivery: Delivery | undefined) => void): Promise<string> {
    const { tag, consuming } = this.#begin(queue, 1, (message) =>
      onDelivery(message === null ? undefined : this.#delivery(message)),
    );
    await this.#call(consuming);
    return tag;
  }

  /** A message may still come before it resolves. */
  async cancel(tag: string): Promise<void> {
    await this.#call(this.#channel.cancel(tag));
    this.#tags.delete(tag);
  }

  /** @returns False when the channel is closed: the broker has put the message back already. */
  ack(delivery: Delivery): boolean {
    return this.#settle(delivery, () => this.#channel.ack(delivery.message));
  }

  /** Puts a message back in its place. @returns As `ack`. */
  requeue(delivery: Delivery): boolean {
    return this.#settle(delivery, () => this.#channel.nack(delivery.message, false, true));
  }

  /** Resolves when the broker has heard everything that was settled here, and has taken back the rest. */
  async close(): Promise<void> {
    await this.#live.call(this.#channel.close());
  }

  #call<T>(answer: Promise<T>): Promise<T> {
    return this.#live.call(answer, this.#abandon);
  }

  /** A queue does not answer, and until it does, nothing else on this channel is heard. */
  readonly #abandon = (): void => {
    if (this.isClosed) return;
    this.#end();
    this.#channel.close().catch(() => undefined); // what was taken on it is back once the broker comes to that
  };

  readonly #end = (): void => {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#onClosed();
  };

  #begin(
    queue: string,
    prefetch: number,
    onMessage: (message: GetMessage | null) => void,
  ): { tag: string; consuming: Promise<unknown> } {
    const tag = `mikcar-${tags++}`;
    this.#tags.add(tag);
    const options = { consumerTag: tag };
    const limited = prefetch === this.#prefetch ? undefined : this.#channel.prefetch(prefetch);
    this.#prefetch = prefetch;
    const heard = (message: unknown): void => {
      if (message === null) this.#tags.delete(tag);
      onMessage(message as GetMessage | null); // its fields differ in what is not read
    };
    const consume = this.#channel.consume(queue, heard, options);
    return { tag, consuming: limited === undefined ? consume : Promise.all([limited, consume]) };
  }

  #delivery(message: GetMessage): Delivery {
    this.#held++;
    return { desk: this, message, isSettled: false };
  }

  #settle(delivery: Delivery, say: () => void): boolean {
    if (this.isClosed || delivery.isSettled) return false;
    delivery.isSettled = true;
    this.#held--;
    try {
      say();
      return true;
    } catch {
      return false; // it is closing
    }
  }
}
