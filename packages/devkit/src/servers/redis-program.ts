/** The program `redis-server`, and a word with it when it runs. */

import { createClient } from "@redis/client";
import { findProgram } from "../find-program.ts";
import type { Certificate } from "./certificate.ts";
import type { ServerProgram } from "./launch.ts";

export function findRedis(): Promise<string> {
  return findProgram(
    "redis-server",
    "redis-server",
    "set REDIS_URL to a Redis whose databases may be emptied (docker/compose.yaml has one)",
  );
}

export function redisProgram(path: string, args: readonly string[]): ServerProgram {
  return { name: "Redis", path, args, readyText: "Ready to accept connections", exitSignal: "SIGKILL" };
}

/** One command on a connection of its own. */
export async function redisCommand(url: string, words: readonly string[], tls?: Certificate): Promise<unknown> {
  const security = tls === undefined ? {} : { tls: true as const, ca: tls.authority };
  const client = createClient({ url, socket: { reconnectStrategy: false, ...security } });
  client.on("error", () => undefined); // the command itself fails, and tells
  await client.connect();
  try {
    return await client.sendCommand([...words]);
  } finally {
    client.destroy();
  }
}
