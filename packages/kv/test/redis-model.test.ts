/** Random transactions on Redis, and on a plain model beside it. Nothing expires: for that its clock would have to stand still. */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import fc from "fast-check";
import type { KvBackend, Transaction } from "../src/backend.ts";
import { open } from "../src/backends/redis/index.ts";
import { glob } from "../src/glob.ts";
import { list } from "./calls.ts";
import { Model } from "./model.ts";
import { KEYS, transaction } from "./transactions.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 1;
/** What the model calls a second. */
const SECOND = 1000;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server.remove());

it(
  "does what the model does, call by call",
  async () => {
    const property = fc.asyncProperty(fc.array(transaction, { minLength: 5, maxLength: 30 }), async (transactions) => {
      const kv = await open(configUrl(await server.freshUrl()));
      try {
        await follow(kv, transactions.map(inThousands));
      } finally {
        await kv.close();
      }
    });
    await fc.assert(property, { numRuns: 40 * RUNS });
  },
  30_000 * RUNS,
);

/** Lives a thousand times as long: the test takes less than one of these seconds. */
function inThousands({ conditions, operations }: Transaction): Transaction {
  return {
    conditions,
    operations: operations.map((operation) =>
      "ttlSeconds" in operation && operation.ttlSeconds !== undefined
        ? { ...operation, ttlSeconds: operation.ttlSeconds * SECOND }
        : operation,
    ),
  };
}

async function follow(kv: KvBackend, transactions: readonly Transaction[]): Promise<void> {
  const start = Date.now();
  const model = new Model(start);
  const inSeconds = (time: number | undefined): number | undefined =>
    time === undefined ? undefined : Math.round((time - start) / SECOND / 1000);
  for (const next of transactions) {
    const outcome = await kv.transact(next).catch((error: { code: string }) => error.code);
    expect(outcome).toEqual(model.transact(next));

    const held = KEYS.map((key) => model.get(key));
    expect(await kv.getMany(KEYS)).toEqual(held.map((one) => one?.value));
    expect(await Promise.all(KEYS.map((key) => kv.get(key)))).toEqual(held.map((one) => one?.value));
    expect(await Promise.all(KEYS.map((key) => kv.exists(key)))).toEqual(held.map((one) => one !== undefined));
    const expiries = await Promise.all(KEYS.map((key) => kv.expiresAt(key)));
    expect(expiries.map(inSeconds)).toEqual(held.map((one) => inSeconds(one?.expiresAt)));
    for (const prefix of ["", "a"]) expect(await list(kv, `${prefix}*`)).toEqual(model.keys(prefix));
    const page = await kv.pageKeys(glob("*"), 2, undefined);
    const rest = page.cursor === undefined ? [] : (await kv.pageKeys(glob("*"), 100, page.cursor)).keys;
    expect([...page.keys, ...rest]).toEqual(model.keys(""));
  }
}
