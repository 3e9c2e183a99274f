/**
 * Listing the keys of a Redis, which keeps them in no order: every one is looked at, for each page too. Duplicates of a
 * SCAN are taken out: https://redis.io/docs/latest/commands/scan/
 */

import { isUtf8 } from "node:buffer";
import { compareUtf8 } from "@mikcar/core";
import type { Glob } from "../../glob.ts";
import type { Words } from "@mikcar/redis";
import type { Servers } from "./servers.ts";

interface Sender {
  send(words: Words): Promise<unknown>;
}

/** How many keys a server looks at before it serves others. */
const COUNT = "1000";

/** All matches behind `after`, in byte order; with `most`, the first of them. */
export async function matchingKeys(
  servers: Servers,
  glob: Glob,
  after?: string,
  most = Infinity,
): Promise<readonly string[]> {
  const sorted = new SortedKeys(most);
  const take = (key: string): void => {
    if ((after === undefined || compareUtf8(key, after) > 0) && glob.matches(key)) sorted.add(key);
  };
  const [only, ...more] = glob.literals;
  if (only !== undefined && more.length === 0) await takeOne(servers, only, take);
  else await Promise.all((await servers.all()).map((server) => scan(server, patternOf(glob), take)));
  return sorted.keys();
}

/** A pattern without special characters names one key. */
async function takeOne(servers: Servers, key: string, take: (key: string) => void): Promise<void> {
  if (String(await servers.send(key, ["TYPE", key])) === "string") take(key);
}

async function scan(server: Sender, match: string, take: (key: string) => void): Promise<void> {
  let cursor = "0";
  do {
    const words = ["SCAN", cursor, "MATCH", match, "COUNT", COUNT, "TYPE", "string"];
    const [next, keys] = (await server.send(words)) as [Buffer, Buffer[]]; // what SCAN replies
    for (const key of keys) if (isUtf8(key)) take(key.toString()); // others come from elsewhere, and have no name here
    cursor = next.toString();
  } while (cursor !== "0");
}

/** A pattern of Redis that lets through what `glob` matches, and little else. */
export function patternOf({ literals }: Glob): string {
  return literals.map((text) => text.replaceAll(/[*?[\]\\^]/g, "\\$&")).join("*");
}

/** Keeps the first `most` keys, each once; what is beyond is thrown away now and then. */
class SortedKeys {
  readonly #most: number;
  #keys = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  add(key: string): void {
    this.#keys.add(key);
    if (this.#keys.size >= 2 * this.#most + 1000) this.#keys = new Set(this.keys());
  }

  keys(): readonly string[] {
    const sorted = [...this.#keys].sort(compareUtf8);
    return sorted.length > this.#most ? sorted.slice(0, this.#most) : sorted;
  }
}
