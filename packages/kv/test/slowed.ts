/**
 * A backend whose time passes fifty times more slowly: Redis counts the time itself, and no test can stop it. So what a
 * test does within one of its milliseconds may take fifty, and a busy machine changes nothing.
 */

import type { KvBackend, Operation } from "../src/backend.ts";
import type { OwnClock } from "./clock.ts";

const TIMES = 50;

export function slowed(kv: KvBackend): KvBackend {
  const longer = (operation: Operation): Operation =>
    "ttlSeconds" in operation && operation.ttlSeconds !== undefined
      ? { ...operation, ttlSeconds: operation.ttlSeconds * TIMES }
      : operation;
  return {
    ping: () => kv.ping(),
    close: () => kv.close(),
    get: (key) => kv.get(key),
    getMany: (keys) => kv.getMany(keys),
    exists: (key) => kv.exists(key),
    expiresAt: async (key) => {
      const expiresAt = await kv.expiresAt(key);
      return expiresAt === undefined ? undefined : Date.now() + (expiresAt - Date.now()) / TIMES;
    },
    transact: ({ conditions, operations }) => kv.transact({ conditions, operations: operations.map(longer) }),
    listKeys: (glob) => kv.listKeys(glob),
    pageKeys: (glob, limit, cursor) => kv.pageKeys(glob, limit, cursor),
    watch: (glob, ending) => kv.watch(glob, ending),
  };
}

export function slowedClock(clock: OwnClock): OwnClock {
  return { toleranceMs: clock.toleranceMs, move: (milliseconds) => clock.move(milliseconds * TIMES) };
}
