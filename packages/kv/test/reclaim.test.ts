/** The space of what has expired is given back in the background. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, it, jest } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder, until } from "@mikcar/devkit";
import { Environment, openEnvironment } from "@mikcar/lmdb";
import type { KvBackend } from "../src/backend.ts";
import { open as openLmdb } from "../src/backends/lmdb/index.ts";
import { open as openMemory } from "../src/backends/memory.ts";
import { expire, list, run, set } from "./calls.ts";
import { setClock, stopClock } from "./clock.ts";

const folder = temporaryFolder();
let kv: KvBackend;
afterEach(async () => {
  jest.restoreAllMocks();
  jest.useRealTimers();
  await kv.close();
  folder.remove();
});

/** More than one portion of either backend. */
const MANY = Array.from({ length: 2500 }, (_, index) => `k${index}`);

async function fillAndExpire(): Promise<void> {
  await run(kv, ...MANY.map((key) => ({ type: "set", key, value: Buffer.from("1"), ttlSeconds: 1 }) as const));
  await set(kv, "kept", "1");
  await set(kv, "later", "1", 100);
  await set(kv, "twice", "1", 1);
  await set(kv, "twice", "1", 100);
  await set(kv, "persisted", "1", 1);
  await expire(kv, "persisted");
  await setClock(1000);
}

async function openTables(): Promise<Environment> {
  stopClock();
  const path = `${folder.path}/kv.lmdb`;
  kv = await openLmdb(configUrl(fileUrl(path)));
  return openEnvironment(path);
}

function count(environment: Environment, name: string): number {
  environment.refresh();
  return [...environment.table(name).keys({})].length;
}

it("empties every table of LMDB of what has expired, and of nothing else", async () => {
  const environment = await openTables();
  await fillAndExpire();
  expect(count(environment, "values")).toBe(MANY.length + 4);

  await until("the values are gone", () => count(environment, "values") === 4);

  expect(count(environment, "expiries")).toBe(2);
  expect(count(environment, "due")).toBe(2);
  expect(await list(kv)).toEqual(["kept", "later", "persisted", "twice"]);
  await setClock(100_000);
  await until("the later ones are gone", () => count(environment, "values") === 2);
  expect([count(environment, "expiries"), count(environment, "due")]).toEqual([0, 0]);
  await environment.close();
});

it("leaves no trace of an expiry that was replaced, removed or deleted in LMDB", async () => {
  const environment = await openTables();
  for (const key of ["set", "persisted", "deleted", "negative"]) await set(kv, key, "1", 100);

  await set(kv, "set", "2");
  await expire(kv, "persisted");
  await run(kv, { type: "delete", key: "deleted" });
  await expire(kv, "negative", -1);

  expect([count(environment, "values"), count(environment, "expiries"), count(environment, "due")]).toEqual([2, 0, 0]);
  await environment.close();
});

it("goes on reclaiming after a commit that failed", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): unknown => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  const environment = await openTables();
  await set(kv, "a", "1", 1);
  const commit = jest.spyOn(Environment.prototype, "commit").mockRejectedValueOnce(new Error("the disk is full"));
  await setClock(1000);

  await until("the value is gone", () => count(environment, "values") === 0);

  expect(commit.mock.calls.length).toBeGreaterThan(1);
  expect(unhandled).toEqual([]);
  process.off("unhandledRejection", onUnhandled);
  await environment.close();
});

it("lets go of the bytes of what has expired in memory", async () => {
  stopClock();
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // the flag above defines it
  kv = await openMemory(configUrl("memory:"));
  await fillAndExpire();
  await setClock(0);
  const held = new WeakRef((await kv.get("k2499")) as Buffer); // it has not expired on this clock
  await setClock(1000);

  await until("the bytes are collected", () => {
    collect();
    return held.deref() === undefined;
  });

  expect(await list(kv)).toEqual(["kept", "later", "persisted", "twice"]);
});
