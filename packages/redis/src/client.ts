/** One connection of the Redis client, as all of ours are made. */

import type { Host } from "@mikcar/core";
import { RedisClient, RESP_TYPES } from "@redis/client";
import type { RedisConfig } from "./url.ts";

export type Words = readonly (string | Buffer)[];
export type Client = ReturnType<typeof makeClient>;

/** Bytes come as bytes. Its own time limit is off: it ends before the command is sent, and costs a timer per command. */
const COMMANDS = { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
const PORT = 6379;
/** Makes the class of clients once; `createClient` makes a new one for each set of options. */
const create = RedisClient.factory();

/** Not connected yet. It never connects again by itself: what is lost is replaced by a new one. */
export function makeClient({ client, tls, timeoutMs }: RedisConfig, { host, port = PORT }: Host) {
  return create({
    ...client,
    socket: {
      ...(tls === undefined ? {} : { tls: true, ...tls }),
      host,
      port,
      connectTimeout: timeoutMs,
      keepAlive: true,
      noDelay: true,
      reconnectStrategy: false,
    },
    name: "mikcar",
    commandOptions: COMMANDS,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
  });
}
