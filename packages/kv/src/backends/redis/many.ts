/** Many values in one round trip, whichever servers have them. */

import type { Servers } from "./servers.ts";
import { GET_MANY, run } from "./script.ts";
import { foreignType } from "@mikcar/redis";

/** In the order of `keys`. Those of one place are read at one moment. @throws CONFLICT for a key of another type. */
export async function getMany(servers: Servers, keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
  const [first, ...rest] = keys;
  if (first === undefined) return [];
  const place = servers.placeOf(first);
  if (rest.every((key) => servers.placeOf(key) === place)) return getOfOnePlace(servers, first, keys);

  const values = new Map<string, Buffer | undefined>();
  const groups = [...byPlace(servers, keys).values()].map(async (group) => {
    const found = await getOfOnePlace(servers, group[0] ?? "", group);
    group.forEach((key, index) => values.set(key, found[index]));
  });
  await Promise.all(groups);
  return keys.map((key) => values.get(key));
}

function byPlace(servers: Servers, keys: readonly string[]): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const key of keys) {
    const place = servers.placeOf(key);
    const group = groups.get(place);
    if (group === undefined) groups.set(place, [key]);
    else group.push(key);
  }
  return groups;
}

async function getOfOnePlace(
  servers: Servers,
  first: string,
  keys: readonly string[],
): Promise<readonly (Buffer | undefined)[]> {
  const reply = await run(servers, first, GET_MANY, [String(keys.length), ...keys]);
  if (typeof reply === "number") throw foreignType(keys[reply - 1]);
  return (reply as (Buffer | null)[]).map((value) => value ?? undefined); // what the script replies
}
