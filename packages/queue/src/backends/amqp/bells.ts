/**
 * Tells those who wait that messages may have come: for each queue with a listener a consumer that gets one message at
 * a time. That message is in hand for the next `take`, and goes back when none comes.
 */

import type { StopListening } from "../../backend.ts";
import type { Delivery, Desk } from "./desk.ts";
import type { Consumer, Desks } from "./desks.ts";

/** How long a message may be in hand before somebody takes it. */
const IN_HAND_MS = 1000;
/** A final pop is acknowledged sooner, and then its consumer gets the next message by itself. */
const SOON_MS = 5;
/** How long those who listen wait when no consumer can be had, before they look for themselves. */
const AGAIN_MS = 1000;

interface Bell {
  readonly queue: string;
  readonly rings: Set<() => void>;
  /** The consumer, from its beginning until it is cancelled or its channel is gone. */
  consumer: Consumer | undefined;
  arming: Promise<void> | undefined;
  inHand: Delivery | undefined;
  /** What it brought last and was handed out: as long as that is not settled, it brings nothing. */
  lent: Delivery | undefined;
  timer: NodeJS.Timeout | undefined;
}

export class Bells {
  readonly #desks: Desks;
  readonly #bells = new Map<string, Bell>();

  constructor(desks: Desks) {
    this.#desks = desks;
  }

  /** The queue must be there. @throws what the broker says. */
  async listen(queue: string, ring: () => void): Promise<StopListening> {
    const bell = this.#bells.get(queue) ?? newBell(queue);
    this.#bells.set(queue, bell);
    const own = (): void => ring(); // the same function may listen twice
    bell.rings.add(own);
    const stop = (): void => this.#stop(bell, own);
    try {
      await this.#arm(bell);
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /** What is in hand, for somebody who takes. */
  hand(queue: string): Delivery | undefined {
    const bell = this.#bells.get(queue);
    const delivery = bell?.inHand;
    if (bell === undefined || delivery === undefined) return undefined;
    clearTimeout(bell.timer);
    bell.inHand = undefined;
    if (delivery.desk.isClosed) return undefined;
    bell.lent = delivery;
    return delivery;
  }

  /** How many messages of a queue are in hand: they are waiting, although the broker does not count them so. */
  inHand(queue: string): number {
    return this.#bells.get(queue)?.inHand?.desk.isClosed === false ? 1 : 0;
  }

  /** Somebody has found the queue empty: if others listen, they must hear of what comes from now on. */
  rearm(queue: string): void {
    const bell = this.#bells.get(queue);
    if (bell === undefined || bell.inHand?.desk.isClosed === false) return;
    if (!isLive(bell)) this.#armOrRing(bell);
    else if (isSpent(bell)) this.#later(bell, SOON_MS, () => isSpent(bell) && this.#armOrRing(bell));
  }

  /** Whoever waits is to look: the broker went away or came back, or a channel was lost. */
  ringAll(isConcerned: (desk: Desk | undefined) => boolean): void {
    for (const bell of this.#bells.values()) {
      if (isConcerned(bell.consumer?.desk)) for (const ring of bell.rings) ring();
    }
  }

  close(): void {
    for (const bell of this.#bells.values()) clearTimeout(bell.timer);
    this.#bells.clear();
  }

  #stop(bell: Bell, ring: () => void): void {
    bell.rings.delete(ring);
    if (bell.rings.size > 0) return;
    if (this.#bells.get(bell.queue) === bell) this.#bells.delete(bell.queue);
    this.#disarm(bell);
  }

  #armOrRing(bell: Bell): void {
    this.#arm(bell).catch(() => {
      const again = (): void => bell.rings.forEach((ring) => ring()); // who takes learns why
      this.#later(bell, AGAIN_MS, again);
    });
  }

  /** Resolves when its consumer is there and can get a message. */
  #arm(bell: Bell): Promise<void> {
    if (isLive(bell) && !isSpent(bell)) return Promise.resolve();
    bell.arming ??= this.#consume(bell).finally(() => (bell.arming = undefined));
    return bell.arming;
  }

  async #consume(bell: Bell): Promise<void> {
    this.#disarm(bell);
    bell.consumer = await this.#desks.consume(bell.queue, (delivery) => this.#onDelivery(bell, delivery));
    if (bell.rings.size === 0) this.#disarm(bell); // all have left meanwhile
  }

  #onDelivery(bell: Bell, delivery: Delivery | undefined): void {
    if (delivery === undefined) bell.consumer = undefined;
    else if (bell.rings.size === 0 || bell.inHand !== undefined) return void delivery.desk.requeue(delivery);
    else {
      bell.inHand = delivery;
      this.#later(bell, IN_HAND_MS, () => this.#rest(bell));
    }
    for (const ring of bell.rings) ring();
  }

  /** Nobody has answered: the message goes back, and the bell tries again after a while. */
  #rest(bell: Bell): void {
    this.#disarm(bell);
    this.#later(bell, IN_HAND_MS, () => this.#armOrRing(bell));
  }

  #disarm(bell: Bell): void {
    clearTimeout(bell.timer);
    const { consumer, inHand } = bell;
    bell.consumer = bell.inHand = bell.lent = undefined;
    if (consumer?.desk.isClosed === false) consumer.desk.cancel(consumer.tag).catch(() => undefined); // gone with its channel
    inHand?.desk.requeue(inHand); // after the cancel, or it would come again
  }

  #later(bell: Bell, milliseconds: number, action: () => void): void {
    clearTimeout(bell.timer);
    bell.timer = setTimeout(action, milliseconds).unref();
  }
}

function newBell(queue: string): Bell {
  const consumer = undefined;
  return { queue, rings: new Set(), consumer, arming: undefined, inHand: undefined, lent: undefined, timer: undefined };
}

function isLive({ consumer }: Bell): boolean {
  return consumer !== undefined && !consumer.desk.isClosed;
}

function isSpent({ lent }: Bell): boolean {
  return lent !== undefined && !lent.isSettled;
}
