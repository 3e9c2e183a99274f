/** Several processes on one file hear of each other's changes, and pay nothing while nobody listens. */

import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { ask, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";
import { openEnvironment } from "@mikcar/lmdb";
import { open } from "../src/backends/lmdb/index.ts";
import type { KvBackend } from "../src/backend.ts";
import { glob } from "../src/glob.ts";
import { fill, set } from "./calls.ts";
import { setClock, stopClock } from "./clock.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let other: RunningProgram;
let kv: KvBackend;
beforeEach(async () => {
  folder = temporaryFolder();
  const url = fileUrl(`${folder.path}/kv.lmdb`);
  other = await startProgram(BIN, { args: ["--port", "0"], env: { KV_URL: url } });
  kv = await open(configUrl(url));
});
afterEach(async () => {
  jest.useRealTimers();
  await kv.close();
  await other.stop("SIGKILL");
  folder.remove();
});

it("tells what another process does, without what was before", async () => {
  await ask(other.url, "/kv/set/before", { method: "POST", body: "1" });
  const ending = new AbortController();
  const seen: string[] = [];
  const changes = await kv.watch(glob("*"), ending.signal);
  const reading = (async () => {
    for await (const batch of changes) seen.push(...batch.map(({ type, key }) => `${type} ${key}`));
  })();

  await ask(other.url, "/kv/set/a", { method: "POST", body: "1" });
  await ask(other.url, "/kv/set/b?ttl=1", { method: "POST", body: "1" });
  await ask(other.url, "/kv/del/a", { method: "DELETE" });

  await until("four changes came", () => seen.length === 4);
  ending.abort();
  await reading;
  expect(seen).toEqual(["set a", "set b", "del a", "expired b"]);
});

async function logged(): Promise<number> {
  const environment = openEnvironment(`${folder.path}/kv.lmdb`);
  const count = [...environment.table("changes").keys({})].length;
  await environment.close();
  return count;
}

it("writes no log while nobody watches, and soon none again when all have left", async () => {
  await set(kv, "a", "1");
  expect(await logged()).toBe(0);
  stopClock();
  const ending = new AbortController();
  await kv.watch(glob("*"), ending.signal);
  await set(kv, "b", "1");
  expect(await logged()).toBe(1);

  ending.abort();
  await setClock(10_001); // a mark that nobody renews holds for ten seconds

  await until("the log is empty", async () => (await logged()) === 0);
  await set(kv, "c", "1");
  expect(await logged()).toBe(0);
});

it("ends when this process did not run for longer than its mark holds", async () => {
  stopClock();
  const changes = await kv.watch(glob("*"), new AbortController().signal);

  await setClock(10_000);

  await expect(changes[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

it("keeps a bounded number of changes", async () => {
  await kv.watch(glob("nothing"), new AbortController().signal);
  const keys = Array.from({ length: 21_000 }, (_, index) => `k${index}`);

  await fill(kv, keys);

  expect(await logged()).toBe(20_000);
});
