/**
 * What a queue backend does. It never waits for a message to come: `take` answers with what is there, `listen` tells
 * when to look again, and the waiting itself is the same for all backends (`waiting.ts`). Names arrive checked: 1 to
 * 200 bytes of UTF-8 without control characters.
 */

import type { Backend } from "@mikcar/core";

/** Where messages wait for consumers: a queue, or what one group has yet to get of a topic. Each is made on first use. */
export interface Source {
  readonly name: string;
  /** Of the topic `name`; undefined: the queue `name`. Queues and topics are two name spaces. */
  readonly group: string | undefined;
}

/** The group of those who name none. It is there from the first publish on; another one from its first `take` on. */
export const DEFAULT_GROUP = "default";

/** How messages are sent. */
export interface Sending {
  /** Until it can be taken; 0: at once. Exact to the `take`: at most some ms late, never early. */
  readonly delayMs: number;
  /**
   * 1 to 255 printable ASCII characters. For a day, the same key on the same queue or topic sends nothing and returns
   * the ids of the first call; with many calls at once, too.
   */
  readonly idempotencyKey: string | undefined;
}

export interface Message {
  /** As `push` or `publish` returned it. Without control characters. */
  readonly id: string;
  /** JSON text, character by character as it was pushed. */
  readonly payload: string;
  /** How often it was handed out, this time included; released ones do not count. */
  readonly deliveries: number;
}

export interface DeadMessage extends Message {
  /** What was said with its last `nack`, or `EXPIRED`. */
  readonly reason: string;
  readonly diedAt: Date;
}

/** The reason of a message whose lease ran out once too often. */
export const EXPIRED = "not acknowledged in time";

export interface Taken {
  readonly messages: readonly Message[];
  /**
   * Milliseconds until the source has more without a push: 0 when more is there now, else until the next delayed message
   * or lease is due; undefined when nothing is known to be due.
   */
  readonly nextInMs: number | undefined;
}

/** undefined: this backend cannot know. */
export interface Counts {
  /** Could be taken now. */
  readonly waiting: number;
  readonly leased: number | undefined;
  /** Pushed with a delay or given back with one, and not yet due. */
  readonly delayed: number | undefined;
  readonly dead: number;
}

/** Stops the bell. What the backend holds for a listener alone goes back to the source. */
export type StopListening = () => void;

/**
 * Every method throws UNAVAILABLE while the broker is away, within some seconds, and works again when it is back.
 * A lease ends by `ack`, `nack`, `release`, or by itself when its time is up: the message can then be taken again, and
 * after `maxDeliveries` lies with the dead ones. No two takers hold one message at the same time.
 */
export interface QueueBackend extends Backend {
  /** Puts messages at the end of a queue. Durable, as the broker promises it, when it resolves. Ids in the order of `payloads`. */
  push(queue: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]>;
  /** Gives messages to every group of a topic, and to `DEFAULT_GROUP` in any case. */
  publish(topic: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]>;
  /**
   * Leases up to `max` messages, the oldest first, for `visibilityMs`. About 16 MiB of payloads at most, but one message
   * in any case. @throws UNPROCESSABLE naming `visibility` when it is longer than this backend can promise.
   */
  take(source: Source, max: number, visibilityMs: number): Promise<Taken>;
  /** Gives leased messages back as if they had not been taken: uncounted, at once, and near the front where possible. */
  release(source: Source, ids: readonly string[]): Promise<void>;
  /** Removes leased messages. For each whether its lease was still there. */
  ack(source: Source, ids: readonly string[]): Promise<readonly boolean[]>;
  /**
   * Ends a lease without success: after `delayMs` the message can be taken again, or, when it has been handed out
   * `maxDeliveries` times, it is dead. @returns False when the lease was not there.
   */
  nack(source: Source, id: string, delayMs: number, reason: string): Promise<boolean>;
  /** Zeros for a source that is not there; it is not made. */
  count(source: Source): Promise<Counts>;
  /** The waiting messages that would be taken next; takes and counts nothing. `deliveries` are those until now. */
  peek(source: Source, max: number): Promise<readonly Message[]>;
  /** Removes the waiting messages; those leased, delayed and dead stay. @returns How many they were. */
  purge(source: Source): Promise<number>;
  /** The oldest dead messages. */
  listDead(source: Source, max: number): Promise<readonly DeadMessage[]>;
  /** Makes dead messages, the oldest first, wait again with a count of 0. @returns How many. */
  redrive(source: Source, max: number): Promise<number>;
  /**
   * Calls `ring` after each moment at which messages may have come: a push, the end of a delay or lease where the backend
   * learns of it, and when the broker went away or came back (so that a `take` finds out). It may ring for nothing.
   * Messages that came before it resolved may not ring, those after it do. @throws UNAVAILABLE.
   */
  listen(source: Source, ring: () => void): Promise<StopListening>;
}

/** About how many bytes of payloads one `take` hands out. */
export const TAKE_BYTES = 16 * 1024 * 1024;
