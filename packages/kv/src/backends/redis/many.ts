/** Many values in one round trip, whichever servers have them. */

import type { Servers } from "./servers.ts";
import { foreignType } from "./translate.ts";

/** In the order of `keys`. Those of one place are read at one moment. @throws CONFLICT for a key of another type. */
export async function getMany(servers: Servers, keys: readonly string[]): Promise<(Buffer | undefined)[]> {
  const values = new Map<string, Buffer | undefined>();
  await Promise.all([...byPlace(servers, keys)].map((group) => readGroup(servers, group, values)));
  return keys.map((key) => values.get(key));
}

function byPlace(servers: Servers, keys: readonly string[]): Iterable<readonly string[]> {
  const groups = new Map<number, string[]>();
  for (const key of new Set(keys)) {
    const place = servers.placeOf(key);
    const group = groups.get(place);
    if (group === undefined) groups.set(place, [key]);
    else group.push(key);
  }
  return groups.values();
}

/** MGET says nothing for a key of another type, as it does for an absent one; EXISTS beside it tells them apart. */
async function readGroup(
  servers: Servers,
  keys: readonly string[],
  values: Map<string, Buffer | undefined>,
): Promise<void> {
  const [first = ""] = keys;
  const [read, count] = (await Promise.all([
    servers.send(first, ["MGET", ...keys]),
    servers.send(first, ["EXISTS", ...keys]),
  ])) as [(Buffer | null)[], number]; // what the two reply
  let found = 0;
  keys.forEach((key, index) => {
    const value = read[index] ?? undefined;
    if (value !== undefined) found++;
    values.set(key, value);
  });
  if (found !== count)
    await refuseForeign(
      servers,
      keys.filter((key) => values.get(key) === undefined),
    );
}

/** What was written between the two commands is no fault. */
async function refuseForeign(servers: Servers, missing: readonly string[]): Promise<void> {
  const types = await Promise.all(missing.map((key) => servers.send(key, ["TYPE", key])));
  const foreign = types.findIndex((type) => !["string", "none"].includes(String(type)));
  if (foreign !== -1) throw foreignType(missing[foreign]);
}
