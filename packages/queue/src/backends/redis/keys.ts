/** The names of things in Redis. What no queue may be called has the unit separator in it: names hold no control characters. */

import type { Source } from "../../backend.ts";

const MARK = "mikcar\u001f";

/** The stream of a source, and what the names of everything else of it begin with. */
export interface Place {
  readonly stream: string;
  readonly base: string;
}

export function placeOf({ name, group }: Source): Place {
  if (group === undefined) return { stream: name, base: `${MARK}queue\u001f${name}\u001f` };
  const base = `${topicBase(name)}${group}\u001f`;
  return { stream: `${base}stream`, base };
}

/** Of all groups of a topic. */
export function topicBase(topic: string): string {
  return `${MARK}topic\u001f${topic}\u001f`;
}

/** The set of the groups of a topic. */
export function groupsKey(topic: string): string {
  return `${MARK}groups\u001f${topic}`;
}

/** A hash, so that no listing of a key-value store in the same database shows it. @param kind `queue` or `topic`: the two name spaces. */
export function idempotencyKey(kind: "queue" | "topic", name: string, key: string): string {
  return `${MARK}sent\u001f${kind}\u001f${name}\u001f${key}`;
}

/** What the channels of a database begin with: Redis has one name space of channels for all of them. */
export function channelPrefix(database: number): string {
  return `${MARK}bell\u001f${database}\u001f`;
}
