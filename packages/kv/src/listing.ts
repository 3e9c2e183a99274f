/** Listing keys of a store that can walk its keys in order from any place. */

import { setImmediate } from "node:timers/promises";
import { badRequest } from "@mikcar/core";
import type { KeyPage } from "./backend.ts";
import type { Glob } from "./glob.ts";

/** Live keys that begin with `prefix`, in byte order, strictly behind `after` where that is given. */
export type Walk = (prefix: string, after: string | undefined) => Iterable<string>;

/** How many keys are looked at before other calls get their turn. */
const PORTION = 1000;

/** All matches, portion by portion. */
export async function* portions(walk: Walk, glob: Glob, after?: string): AsyncGenerator<readonly string[]> {
  let next = after;
  do {
    const { keys, last } = portion(walk, glob, next);
    if (keys.length > 0) yield keys;
    next = last;
    if (next !== undefined) await setImmediate();
  } while (next !== undefined);
}

/** At most `limit` matches behind `cursor`, which is one of an earlier page of the same glob. */
export async function page(walk: Walk, glob: Glob, limit: number, cursor: string | undefined): Promise<KeyPage> {
  const keys: string[] = [];
  const after = cursor === undefined ? undefined : decodeCursor(cursor, glob.prefix);
  for await (const more of portions(walk, glob, after)) {
    keys.push(...more);
    if (keys.length > limit) return { keys: keys.slice(0, limit), cursor: encodeCursor(keys[limit - 1] ?? "") };
  }
  return { keys, cursor: undefined };
}

function portion(walk: Walk, glob: Glob, after: string | undefined): { keys: string[]; last: string | undefined } {
  const keys: string[] = [];
  let seen = 0;
  for (const key of walk(glob.prefix, after)) {
    if (glob.isPrefixOnly || glob.matches(key)) keys.push(key);
    if (++seen === PORTION) return { keys, last: key };
  }
  return { keys, last: undefined };
}

/** Names the last key of a page, and so holds after a restart. */
export function encodeCursor(key: string): string {
  return Buffer.from(key).toString("base64url");
}

/** @throws BAD_REQUEST for what `encodeCursor` has not made of a key with this prefix. */
export function decodeCursor(cursor: string, prefix: string): string {
  const key = Buffer.from(cursor, "base64url").toString();
  if (key !== "" && encodeCursor(key) === cursor && key.startsWith(prefix)) return key;
  throw badRequest("cursor: not one that an earlier page of this pattern has given");
}
