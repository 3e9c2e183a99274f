/** What can be seen of a queue, and done with its dead messages, without taking from it. */

import type { GetMessage } from "amqplib";
import { type DeadMessage, type Message, TAKE_BYTES } from "../../backend.ts";
import { asJson } from "../../payload.ts";
import type { Clerk, Clerks } from "./clerks.ts";
import { changedLetter, type Letter, readLetter } from "./letter.ts";
import type { Parcel } from "./outbox.ts";
import { isAbsent } from "./translate.ts";

/** How many dead messages are on their way at a time. */
const PORTION = 100;

/** How many messages are ready; 0 for a queue that is not there. */
export function countOf(clerks: Clerks, queue: string): Promise<number> {
  const check = ({ channel, call }: Clerk): Promise<{ messageCount: number }> => call(channel.checkQueue(queue));
  return clerks.run(check).then(({ messageCount }) => messageCount, zeroIfAbsent);
}

export function isThere(clerks: Clerks, queue: string): Promise<boolean> {
  const check = ({ channel, call }: Clerk): Promise<unknown> => call(channel.checkQueue(queue));
  return clerks.run(check).then(
    () => true,
    (error: unknown) => zeroIfAbsent(error) > 0,
  );
}

export function purge(clerks: Clerks, queue: string): Promise<number> {
  const empty = ({ channel, call }: Clerk): Promise<{ messageCount: number }> => call(channel.purgeQueue(queue));
  return clerks.run(empty).then(({ messageCount }) => messageCount, zeroIfAbsent);
}

function zeroIfAbsent(error: unknown): number {
  if (isAbsent(error)) return 0;
  throw error;
}

/** The first messages; they are taken for a moment, and put back in their places. */
export async function look(clerks: Clerks, queue: string, max: number): Promise<readonly GetMessage[]> {
  try {
    return await clerks.runApart((clerk) => getUpTo(clerk, queue, max));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

async function getUpTo({ channel, call }: Clerk, queue: string, max: number): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  for (let bytes = 0; messages.length < max && bytes < TAKE_BYTES;) {
    const message = await call(channel.get(queue));
    if (message === false) break;
    messages.push(message);
    bytes += message.content.length;
  }
  return messages;
}

export function shownMessage({ content }: GetMessage, { id, deliveries }: Letter): Message {
  return { id, payload: asJson(content), deliveries };
}

export function deadMessage(message: GetMessage): DeadMessage {
  const letter = readLetter(message);
  return { ...shownMessage(message, letter), reason: letter.reason, diedAt: letter.diedAt };
}

/** As `Outbox.sendEach`. */
type Send = (parcels: readonly Parcel[]) => Promise<readonly PromiseSettledResult<void>[]>;

/** Sends dead messages to where they came from, and removes each from the dead ones then. @returns How many. */
export async function redrive(clerks: Clerks, dead: string, max: number, send: Send): Promise<number> {
  const all = Math.min(max, await countOf(clerks, dead));
  let done = 0;
  while (done < all) {
    const portion = Math.min(PORTION, all - done);
    const moved = await clerks.runApart((clerk) => movePortion(clerk, dead, portion, send));
    done += moved;
    if (moved === 0) break; // others were faster
  }
  return done;
}

async function movePortion(clerk: Clerk, dead: string, max: number, send: Send): Promise<number> {
  const messages = await getUpTo(clerk, dead, max);
  const parcels = messages.map((message) => {
    const options = changedLetter(readLetter(message), message, { deliveries: 0, isReborn: true });
    return { content: message.content, options };
  });
  const results = await send(parcels);
  for (const [at, message] of messages.entries()) if (results[at]?.status === "fulfilled") clerk.channel.ack(message);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return messages.length;
}
