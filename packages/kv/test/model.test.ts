/** Random calls on every backend, and on a plain model beside it. */

import { afterAll, afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import fc from "fast-check";
import type { KvBackend, Transaction } from "../src/backend.ts";
import { open as openLmdb } from "../src/backends/lmdb/index.ts";
import { open as openMemory } from "../src/backends/memory.ts";
import { glob } from "../src/glob.ts";
import { list } from "./calls.ts";
import { setClock, START, stopClock } from "./clock.ts";
import { Model } from "./model.ts";
import { KEYS, transaction } from "./transactions.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 1;
const step = fc.oneof(
  { weight: 5, arbitrary: transaction },
  { weight: 2, arbitrary: fc.constantFrom(1, 500, 999, 1000, 2000) }, // milliseconds that pass
);

const folder = temporaryFolder();
let count = 0;
beforeEach(stopClock);
afterEach(() => {
  jest.useRealTimers();
});
afterAll(() => folder.remove());

it.each<[string, () => Promise<KvBackend>]>([
  ["memory", () => openMemory(configUrl("memory:"))],
  ["lmdb", () => openLmdb(configUrl(`${fileUrl(`${folder.path}/${count++}.lmdb`)}?sync=false`))],
])(
  "%s does what the model does, call by call",
  async (_name, open) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      await setClock(0);
      const kv = await open();
      try {
        await follow(kv, steps);
      } finally {
        await kv.close();
      }
    });
    await fc.assert(property, { numRuns: 60 * RUNS });
  },
  20_000 * RUNS,
);

async function follow(kv: KvBackend, steps: readonly (Transaction | number)[]): Promise<void> {
  const model = new Model(START);
  for (const next of steps) {
    if (typeof next === "number") {
      model.now += next;
      await setClock(model.now - START);
    } else {
      const outcome = await kv.transact(next).catch((error: { code: string }) => error.code);
      expect(outcome).toEqual(model.transact(next));
    }
    await compare(kv, model);
  }
}

async function compare(kv: KvBackend, model: Model): Promise<void> {
  const held = KEYS.map((key) => model.get(key));
  expect(await kv.getMany(KEYS)).toEqual(held.map((one) => one?.value));
  expect(await Promise.all(KEYS.map((key) => kv.get(key)))).toEqual(held.map((one) => one?.value));
  expect(await Promise.all(KEYS.map((key) => kv.exists(key)))).toEqual(held.map((one) => one !== undefined));
  expect(await Promise.all(KEYS.map((key) => kv.expiresAt(key)))).toEqual(held.map((one) => one?.expiresAt));
  for (const prefix of ["", "a"]) expect(await list(kv, `${prefix}*`)).toEqual(model.keys(prefix));
  const page = await kv.pageKeys(glob("*"), 2, undefined);
  const rest = page.cursor === undefined ? [] : (await kv.pageKeys(glob("*"), 100, page.cursor)).keys;
  expect([...page.keys, ...rest]).toEqual(model.keys(""));
}
