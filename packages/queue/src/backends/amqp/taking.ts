/** Takes messages from a queue with as few calls as it can. */

import { type Message, type Taken, TAKE_BYTES } from "../../backend.ts";
import type { Bells } from "./bells.ts";
import type { Custody } from "./custody.ts";
import type { Delivery, Desk } from "./desk.ts";
import type { Desks } from "./desks.ts";

/** From here on a consumer that is cancelled at once is cheaper than single calls. */
const FEW = 6;
/** How many messages come at a time: they are in memory before their size is known. */
const MANY = 32;
const FIRST_GUESS_BYTES = 1024 * 1024;

export class Taking {
  readonly #desks: Desks;
  readonly #bells: Bells;
  readonly #custody: Custody;
  /** How large a message may well be: the largest of late. */
  #guessBytes = FIRST_GUESS_BYTES;

  constructor(desks: Desks, bells: Bells, custody: Custody) {
    this.#desks = desks;
    this.#bells = bells;
    this.#custody = custody;
  }

  async take(queue: string, max: number, visibilityMs: number): Promise<Taken> {
    const inHand = this.#bells.hand(queue);
    const first = inHand === undefined ? undefined : this.#custody.receive(queue, inHand, visibilityMs);
    if (first !== undefined) return { messages: [first], nextInMs: 0 }; // whether there are more, the next one sees
    const desk = await this.#desks.of(queue);
    const messages: Message[] = [];
    try {
      const isEmpty = await this.#fill(messages, { desk, queue, max, visibilityMs });
      if (isEmpty) this.#bells.rearm(queue);
      return { messages, nextInMs: isEmpty ? undefined : 0 };
    } catch (error) {
      for (const { id } of messages) this.#custody.release(queue, id);
      throw error;
    }
  }

  /** @returns Whether the queue has no more. */
  async #fill(messages: Message[], asked: Asked): Promise<boolean> {
    const { desk, queue, max, visibilityMs } = asked;
    for (let bytes = 0; messages.length < max && bytes < TAKE_BYTES;) {
      const wanted = Math.min(max - messages.length, MANY, Math.floor((TAKE_BYTES - bytes) / this.#guessBytes));
      const isMany = messages.length > 0 && wanted >= FEW;
      const deliveries = isMany ? await desk.getSome(queue, wanted) : await getOne(desk, queue);
      for (const delivery of deliveries) {
        if (bytes > 0 && bytes + delivery.message.content.length > TAKE_BYTES) {
          for (const later of deliveries.slice(deliveries.indexOf(delivery))) desk.requeue(later);
          return false;
        }
        bytes += this.#weigh(delivery);
        const message = this.#custody.receive(queue, delivery, visibilityMs);
        if (message !== undefined) messages.push(message);
      }
      if (deliveries.length < (isMany ? wanted : 1)) return true;
    }
    return false;
  }

  #weigh({ message }: Delivery): number {
    const { length } = message.content;
    this.#guessBytes = Math.max(length, this.#guessBytes * 0.95, 1);
    return length;
  }
}

interface Asked {
  readonly desk: Desk;
  readonly queue: string;
  readonly max: number;
  readonly visibilityMs: number;
}

async function getOne(desk: Desk, queue: string): Promise<readonly Delivery[]> {
  const delivery = await desk.get(queue);
  return delivery === undefined ? [] : [delivery];
}
