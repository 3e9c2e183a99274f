/** Takes messages from a queue with as few calls as it can. */

import { type Message, type Taken, TAKE_BYTES } from "../../backend.ts";
import type { Bells } from "./bells.ts";
import type { Custody } from "./custody.ts";
import type { Delivery } from "./desk.ts";
import type { Desks } from "./desks.ts";
import type { QueueType } from "./layout.ts";

/** From here on a consumer that is cancelled at once is cheaper than single calls. */
const FEW = 6;
/** How many messages come at a time: they are in memory before their size is known. */
const MANY = 64;
const FIRST_GUESS_BYTES = 1024 * 1024;
/** How many queues are known to have more. */
const KNOWN = 10_000;

export class Taking {
  readonly #desks: Desks;
  readonly #bells: Bells;
  readonly #custody: Custody;
  /** How large a message may well be: the largest of late. */
  #guessBytes = FIRST_GUESS_BYTES;
  /** Queues that had more when they were last looked at: no call is spent on finding that out. */
  readonly #busy = new Set<string>();

  constructor(desks: Desks, bells: Bells, custody: Custody) {
    this.#desks = desks;
    this.#bells = bells;
    this.#custody = custody;
  }

  async take(queue: string, type: QueueType, max: number, visibilityMs: number): Promise<Taken> {
    const inHand = this.#bells.hand(queue);
    const first = inHand === undefined ? undefined : this.#custody.receive(queue, type, inHand, visibilityMs);
    if (first !== undefined) return { messages: [first], nextInMs: 0 }; // whether there are more, the next one sees
    const messages: Message[] = [];
    try {
      const isEmpty = await this.#fill(messages, { queue, type, max, visibilityMs });
      if (isEmpty) {
        this.#busy.delete(queue);
        this.#bells.rearm(queue);
      }
      return { messages, nextInMs: isEmpty ? undefined : 0 };
    } catch (error) {
      this.#busy.delete(queue);
      for (const { id } of messages) this.#custody.release(queue, id);
      throw error;
    }
  }

  /** @returns Whether the queue has no more, for which an unsuccessful `get` is the only proof. */
  async #fill(messages: Message[], asked: Asked): Promise<boolean> {
    const { queue, max } = asked;
    let canBeMany = asked.type === "classic"; // others may give messages after the end of a consumer
    for (let bytes = 0; messages.length < max && bytes < TAKE_BYTES;) {
      const wanted = Math.min(max - messages.length, MANY, Math.floor((TAKE_BYTES - bytes) / this.#guessBytes));
      const isMany = canBeMany && wanted >= FEW && (messages.length > 0 || this.#busy.has(queue));
      const deliveries = isMany ? await this.#desks.getSome(queue, wanted) : await this.#getOne(queue);
      bytes += this.#use(deliveries, messages, bytes, asked);
      if (isMany && deliveries.length < wanted) {
        this.#busy.delete(queue);
        if (messages.length > 0) return false;
        canBeMany = false;
      } else if (deliveries.length === 0) return true;
    }
    if (this.#busy.size < KNOWN) this.#busy.add(queue);
    return false;
  }

  async #getOne(queue: string): Promise<readonly Delivery[]> {
    const delivery = await this.#desks.get(queue);
    return delivery === undefined ? [] : [delivery];
  }

  /** Leases what fits into one answer, and puts the rest back. @returns How many bytes that are. */
  #use(deliveries: readonly Delivery[], messages: Message[], bytesBefore: number, asked: Asked): number {
    let bytes = 0;
    for (const delivery of deliveries) {
      const { length } = delivery.message.content;
      this.#guessBytes = Math.max(length, this.#guessBytes * 0.95, 1);
      const isTooMuch = bytesBefore + bytes > 0 && bytesBefore + bytes + length > TAKE_BYTES;
      if (isTooMuch) {
        delivery.desk.requeue(delivery);
        bytes = TAKE_BYTES; // nothing behind it may overtake it
        continue;
      }
      bytes += length;
      const message = this.#custody.receive(asked.queue, asked.type, delivery, asked.visibilityMs);
      if (message !== undefined) messages.push(message);
    }
    return bytes;
  }
}

interface Asked {
  readonly queue: string;
  readonly type: QueueType;
  readonly max: number;
  readonly visibilityMs: number;
}
