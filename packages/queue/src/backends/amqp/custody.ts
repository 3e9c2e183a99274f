/** From a delivery to its end: messages that are leased, and what becomes of them. */

import { randomUUID } from "node:crypto";
import type { GetMessage } from "amqplib";
import { EXPIRED, type Message } from "../../backend.ts";
import { asJson } from "../../payload.ts";
import type { Delivery } from "./desk.ts";
import type { Layout, QueueType } from "./layout.ts";
import { type Lease, Leases } from "./leases.ts";
import { changedLetter, type Letter, readLetter } from "./letter.ts";
import { deadOf } from "./names.ts";
import type { Address, Outbox } from "./outbox.ts";
import { Settled, type Verdict } from "./settled.ts";

export class Custody {
  readonly #outbox: Outbox;
  readonly #layout: Layout;
  readonly #maxDeliveries: number;
  readonly #leases: Leases;
  readonly #settled = new Settled();

  constructor(outbox: Outbox, layout: Layout, maxDeliveries: number) {
    this.#outbox = outbox;
    this.#layout = layout;
    this.#maxDeliveries = maxDeliveries;
    this.#leases = new Leases((lease) => this.#expire(lease));
  }

  /** Leases what has come. Undefined: it is not to be handed out, as it has been, and is still held or was settled. */
  receive(queue: string, type: QueueType, delivery: Delivery, visibilityMs: number): Message | undefined {
    const { message } = delivery;
    let letter = readLetter(message);
    let key = keyOf(queue, letter.id);
    const verdict = this.#verdict(key, letter, message);
    if (verdict !== undefined) return this.#settleAgain({ key, queue, type, letter, delivery }, verdict);
    const held = this.#leases.get(key);
    if (held !== undefined && !held.delivery.desk.isClosed) {
      if (isCopy(held, letter, message)) return this.#keepNewer(held, letter, delivery);
      letter = { ...letter, id: randomUUID(), isUnique: false }; // another program has used an id twice
      key = keyOf(queue, letter.id);
    } else if (held !== undefined) {
      if (isSame(held.letter, letter)) return this.#resume(held, delivery);
      this.#leases.end(held); // lost with its channel, and we cannot know whether this is it
    }
    const deadline = performance.now() + visibilityMs;
    this.#leases.add({ key, queue, type, letter, delivery, deadline, place: -1 });
    return { id: letter.id, payload: asJson(message.content), deliveries: letter.deliveries + 1 };
  }

  /** @returns False for a message that this process does not hold. */
  ack(queue: string, id: string): boolean {
    const lease = this.#end(queue, id);
    if (lease === undefined) return false;
    this.#settled.add(lease, "done"); // before the broker has heard of it, or will
    lease.delivery.desk.ack(lease.delivery);
    return true;
  }

  release(queue: string, id: string): void {
    const lease = this.#end(queue, id);
    if (lease === undefined || lease.delivery.desk.isClosed) return; // it is back already
    if (lease.type === "classic") lease.delivery.desk.requeue(lease.delivery);
    else this.#giveBackOrRequeue(lease, 0, undefined); // a quorum queue counts what is put back, and may drop it then
  }

  async nack(queue: string, id: string, delayMs: number, reason: string): Promise<boolean> {
    const lease = this.#end(queue, id);
    if (lease === undefined) return false;
    if (lease.delivery.desk.isClosed) {
      this.#settled.add(lease, { delayMs, reason });
      return true;
    }
    try {
      await this.#giveBack(lease, delayMs, reason);
    } catch (error) {
      if (this.#leases.get(lease.key) === undefined) this.#leases.add(lease); // it may be tried again
      throw error;
    }
    return true;
  }

  /** Whether a message that lies in a queue was settled already, and will not be handed out. */
  isSettled(queue: string, letter: Letter, message: GetMessage): boolean {
    return this.#verdict(keyOf(queue, letter.id), letter, message) !== undefined;
  }

  close(): void {
    this.#leases.close();
  }

  #end(queue: string, id: string): Lease | undefined {
    const lease = this.#leases.get(keyOf(queue, id));
    if (lease !== undefined) this.#leases.end(lease);
    return lease;
  }

  /** Its holder has it still: the message only came to us by another channel. */
  #resume(lease: Lease, delivery: Delivery): undefined {
    lease.delivery = delivery;
  }

  /** A message that was given back, whose confirm we have missed: both are there, and one is enough. */
  #keepNewer(lease: Lease, letter: Letter, delivery: Delivery): undefined {
    const isNewer = letter.deliveries > lease.letter.deliveries;
    const old = isNewer ? lease.delivery : delivery;
    if (isNewer) Object.assign(lease, { letter, delivery });
    old.desk.ack(old);
  }

  /** One that the broker gives out for the first time is not what we have settled, whatever its id. */
  #verdict(key: string, letter: Letter, { fields }: GetMessage): Verdict | undefined {
    return fields.redelivered ? this.#settled.find(key, letter) : undefined;
  }

  #settleAgain(held: Held, verdict: Verdict): undefined {
    if (verdict === "done") held.delivery.desk.ack(held.delivery);
    else this.#giveBackOrRequeue(held, verdict.delayMs, verdict.reason);
  }

  #expire(lease: Lease): void {
    if (!lease.delivery.desk.isClosed) this.#giveBackOrRequeue(lease, 0, EXPIRED);
  }

  /** Should it not get through, the message is back all the same, and counted once too little. */
  #giveBackOrRequeue(held: Held, delayMs: number, reason: string | undefined): void {
    this.#giveBack(held, delayMs, reason).catch(() => held.delivery.desk.requeue(held.delivery));
  }

  /**
   * Sends it once more, with its new count, and removes this one then: between the two there is one too many, never none.
   * @param reason Undefined: it was not handed out, and does not count.
   */
  async #giveBack(held: Held, delayMs: number, reason: string | undefined): Promise<void> {
    const { queue, letter, delivery } = held;
    const isReborn = reason === undefined; // as what is settled is known by its count
    const deliveries = letter.deliveries + (isReborn ? 0 : 1);
    const isDead = !isReborn && deliveries >= this.#maxDeliveries;
    const death = isDead ? { death: { reason, at: new Date() } } : {};
    const options = changedLetter(letter, delivery.message, { deliveries, ...death, isReborn });
    const parcels = [{ content: delivery.message.content, options }];
    if (isDead) await this.#outbox.send(queueAddress(deadOf(queue)), parcels, () => this.#make(deadOf(queue)));
    else if (delayMs === 0) await this.#outbox.send(queueAddress(queue), parcels, () => this.#make(queue));
    else await this.#sendLater(queue, parcels, delayMs);
    this.#settled.add(held, "done");
    delivery.desk.ack(delivery);
  }

  async #sendLater(queue: string, parcels: Parameters<Outbox["send"]>[1], delayMs: number): Promise<void> {
    const exchange = await this.#layout.delay("queue", delayMs);
    await this.#outbox.send({ exchange, routingKey: queue }, parcels, () => {
      this.#layout.forgetDelay("queue", delayMs);
      return this.#layout.delay("queue", delayMs);
    });
  }

  #make(queue: string): Promise<unknown> {
    this.#layout.forget(queue);
    return this.#layout.queue(queue);
  }
}

type Held = Pick<Lease, "key" | "queue" | "type" | "letter" | "delivery">;

/** Of the same message of ours, and not of another one with its id. */
function isCopy(lease: Lease, letter: Letter, { content }: GetMessage): boolean {
  const { letter: held, delivery } = lease;
  const isSameLife = held.isUnique && letter.isUnique && held.life === letter.life;
  return isSameLife && delivery.message.content.equals(content);
}

export function queueAddress(queue: string): Address {
  return { exchange: "", routingKey: queue };
}

/** No id and no name holds a control character. */
function keyOf(queue: string, id: string): string {
  return `${queue}\n${id}`;
}

function isSame(one: Letter, other: Letter): boolean {
  return one.isUnique && other.isUnique && one.life === other.life && one.deliveries === other.deliveries;
}
