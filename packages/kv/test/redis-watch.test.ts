/** Watching a Redis: its notifications must be on, other programs are heard too, and a lost connection is an end. */

import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import { redisCommand, type RedisServer, startRedis } from "@mikcar/devkit/redis";
import type { KvBackend } from "../src/backend.ts";
import { open } from "../src/backends/redis/index.ts";
import { glob } from "../src/glob.ts";
import { set } from "./calls.ts";

let server: RedisServer;
let url: string;
let kv: KvBackend;
let leaving: AbortController;
beforeEach(async () => {
  server = await startRedis({ appendFsync: "everysec" }); // its own, as its settings are changed
  url = await server.freshUrl();
  leaving = new AbortController();
}, 120_000);
afterEach(async () => {
  await kv.close();
  await server.remove();
});

async function watch(query: string): Promise<{ readonly changes: string[]; readonly ended: Promise<string> }> {
  kv = await open(configUrl(`${url}?timeout_ms=500${query}`));
  const batches = await kv.watch(glob("*"), leaving.signal);
  const changes: string[] = [];
  const listen = async (): Promise<string> => {
    for await (const batch of batches) changes.push(...batch.map(({ type, key }) => `${type} ${key}`));
    return "in order";
  };
  return { changes, ended: listen().catch((error: { code: string }) => error.code) };
}

const redis = (...words: readonly string[]): Promise<unknown> => redisCommand(url, words);
const setting = async (): Promise<string> =>
  Object.values((await redis("CONFIG", "GET", "notify-keyspace-events")) as object).at(-1) as string;

it("is UNSUPPORTED while notifications are off, and says what to set", async () => {
  await expect(watch("")).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringMatching(/set notify-keyspace-events to K\$gxe .*notify=true/),
  });
  expect(await setting()).toBe("");
});

it("works without notify=true where notifications are on", async () => {
  await redis("CONFIG", "SET", "notify-keyspace-events", "KA");
  const { changes } = await watch("");

  await set(kv, "a", "1");

  await until("it is told", () => changes.length > 0);
  expect(changes).toEqual(["set a"]);
});

it("turns on what is missing with notify=true, and leaves what is on", async () => {
  await redis("CONFIG", "SET", "notify-keyspace-events", "Elg");
  await watch("&notify=true");

  expect(
    Array.from(await setting())
      .sort()
      .join(""),
  ).toBe(Array.from("EKlg$xe").sort().join(""));
});

it("believes notify=true where the user may not read the setting, and without it is UNSUPPORTED", async () => {
  await redis("ACL", "SETUSER", "weak", "on", "nopass", "~*", "&*", "+@all", "-config");
  await redis("CONFIG", "SET", "notify-keyspace-events", "KA");
  url = url.replace("redis://", "redis://weak:x@");
  await expect(watch("")).rejects.toMatchObject({ code: "UNSUPPORTED" });
  await kv.close();

  const { changes } = await watch("&notify=true");
  await set(kv, "a", "1");

  await until("it is told", () => changes.length > 0);
});

it("hears what other programs do to values, in this database alone", async () => {
  const { changes } = await watch("&notify=true");

  await redis("APPEND", "a", "1");
  await redis("RPUSH", "list", "1");
  await redisCommand(await server.freshUrl(), ["SET", "elsewhere", "1"]);
  await redis("RENAME", "a", "b");
  await redis("GETDEL", "b");

  await until("all is told", () => changes.length >= 4);
  expect(changes).toEqual(["set a", "del a", "set b", "del b"]);
});

it("has one more connection for all who watch, and none when they have left", async () => {
  const clients = async (): Promise<number> => String(await redis("CLIENT", "LIST")).split("name=mikcar").length - 1;
  await watch("&notify=true");
  await kv.watch(glob("a"), leaving.signal);
  expect(await clients()).toBe(2);

  leaving.abort();

  await until("it is closed", async () => (await clients()) === 1);
});

it.each<[string, () => void | Promise<void>]>([
  ["stopped", () => server.stop()],
  ["killed", () => server.kill()],
  ["frozen", () => server.freeze()],
])("ends with UNAVAILABLE when the server is %s, and may be begun again", async (_name, leave) => {
  const { ended } = await watch("&notify=true");

  await leave();

  expect(await ended).toBe("UNAVAILABLE");
  await server.kill();
  await server.start();
  const again = async (): Promise<boolean> =>
    kv.watch(glob("*"), leaving.signal).then(
      () => true,
      () => false,
    );
  await until("it can be watched again", again);
});
