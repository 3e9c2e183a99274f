/** What things are called on the broker. AMQP allows 255 bytes for a name. */

import { hash } from "node:crypto";
import type { Source } from "../../backend.ts";

/** A direct exchange: what is published to a topic goes to the queues bound to it by the topic's name. */
export const TOPICS = "mikcar.topics";
/** RabbitMQ keeps names in `amq.` for itself, and we those in `mikcar.`; a queue that is called so gets another name. */
const RESERVED = /^(?:amq|mikcar)\./;
/** So that the name of its dead letters fits, too. */
const LONGEST = 240;

/** An ordinary queue's is the name itself, so that other programs find it. */
export function queueOf({ name, group }: Source): string {
  if (group === undefined) return RESERVED.test(name) ? `mikcar.name.${name}` : name;
  const full = `mikcar.group.${Buffer.byteLength(name)}.${name}.${group}`;
  return Buffer.byteLength(full) <= LONGEST ? full : `mikcar.group.${hash("sha256", full)}`;
}

/** Whether a queue is bound to `TOPICS`. */
export function isOfGroup(queue: string): boolean {
  return queue.startsWith("mikcar.group.");
}

export function deadOf(queue: string): string {
  return `mikcar.dead.${queue}`;
}

const STEP = 1.01;

/** Of the exchange and the queue in which messages wait that long, before they go to a queue or a topic. */
export function delayName(to: "queue" | "topic", delayMs: number): string {
  return `mikcar.delay.${to}.${delayMs}`;
}

/**
 * The delay that a message gets: never shorter, and at most 1 % or 10 ms longer, so that there are few different ones:
 * every 10 ms up to a second, then powers of 1.01.
 */
export function roundedDelay(delayMs: number): number {
  if (delayMs <= 1000) return Math.ceil(delayMs / 10) * 10;
  let power = Math.max(0, Math.floor(Math.log(delayMs / 1000) / Math.log(STEP)) - 1); // the logarithm may be a hair off
  while (afterSteps(power) < delayMs) power++;
  return afterSteps(power);
}

function afterSteps(count: number): number {
  return Math.ceil(1000 * STEP ** count);
}
