/** A listing looks at the keys that share the beginning of its pattern, however many others there are. */

import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { Environment } from "@mikcar/lmdb";
import BTree from "sorted-btree";
import type { KvBackend } from "../src/backend.ts";
import { open as openLmdb } from "../src/backends/lmdb/index.ts";
import { open as openMemory } from "../src/backends/memory.ts";
import { glob } from "../src/glob.ts";
import { fill, list } from "./calls.ts";

const folder = temporaryFolder();
/** How many keys the store below has handed out. */
let looked = 0;

function* counted<T>(items: Iterable<T>): Generator<T> {
  for (const item of items) {
    looked += 1;
    yield item;
  }
}

async function openCountedMemory(): Promise<KvBackend> {
  const { entries } = BTree.default.prototype;
  jest.spyOn(BTree.default.prototype, "entries").mockImplementation(function (this: never, ...from) {
    return counted(entries.apply(this, from)) as ReturnType<typeof entries>; // for…of asks for no more than that
  });
  return openMemory(configUrl("memory:"));
}

async function openCountedLmdb(): Promise<KvBackend> {
  const { table } = Environment.prototype;
  jest.spyOn(Environment.prototype, "table").mockImplementation(function (this: Environment, name) {
    const made = table.call(this, name);
    const keys = made.keys.bind(made);
    return Object.assign(made, { keys: (range: Parameters<typeof keys>[0]) => counted(keys(range)) });
  });
  return openLmdb(configUrl(fileUrl(`${folder.path}/kv.lmdb`)));
}

describe.each([
  ["memory", openCountedMemory],
  ["lmdb", openCountedLmdb],
])("%s with 100 000 keys", (_name, open) => {
  let kv: KvBackend;
  const mine = Array.from({ length: 25 }, (_, index) => `user:42:${index}`).sort();
  beforeEach(async () => {
    kv = await open();
    await fill(
      kv,
      Array.from({ length: 100_000 }, (_, index) => `user:${index}:name`),
    );
    await fill(kv, mine);
  }, 60_000);
  afterEach(async () => {
    await kv.close();
    jest.restoreAllMocks();
    folder.remove();
  });

  it("looks only at the keys with the literal beginning", async () => {
    looked = 0;
    expect(await list(kv, "user:42:*")).toEqual([...mine, "user:42:name"]);
    expect(looked).toBeGreaterThanOrEqual(26);
    expect(looked).toBeLessThanOrEqual(28);

    looked = 0;
    expect(await list(kv, "user:42:[0-4]")).toHaveLength(5);
    expect(looked).toBeLessThanOrEqual(28);

    looked = 0;
    expect(await list(kv, "user:42:name")).toEqual(["user:42:name"]);
    expect(looked).toBeLessThanOrEqual(2);

    looked = 0;
    expect((await kv.pageKeys(glob("user:*"), 10, undefined)).keys).toHaveLength(10);
    expect(looked).toBeLessThanOrEqual(1001);
  });
});
