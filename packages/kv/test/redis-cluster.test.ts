/** A Redis Cluster: the contract over the keys of one slot, and what becomes of keys in several. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import { type RedisCluster, redisCommand, startRedisCluster } from "@mikcar/devkit/redis";
import type { KvBackend } from "../src/backend.ts";
import { open } from "../src/backends/redis/index.ts";
import { slotOf } from "../src/backends/redis/slot.ts";
import { glob } from "../src/glob.ts";
import { increment, list, listPages, remove, run, runIf, set, text } from "./calls.ts";
import { kvContract } from "./contract.ts";
import { redisClock } from "./redis-clock.ts";
import { slowed, slowedClock } from "./slowed.ts";
import { tagged } from "./tagged.ts";

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 120_000);
afterAll(() => cluster.remove());

kvContract("redis+cluster", {
  open: async () => slowed(tagged(await open(configUrl(`${await cluster.freshUrl()}?notify=true`)), "{same slot}")),
  clock: slowedClock(redisClock(() => cluster.nodes)),
  quirks: { "time-goes-on": "Redis counts the time itself" },
});

it.each([
  ["123456789", 12739], // https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, appendix A
  ["{user1000}.following", 3443],
  ["foo{}{bar}", 8363],
  ["foo{{bar}}zap", 4015],
  ["foo{bar}{zap}", 5061],
  ["ümläut", undefined],
  ["", 0],
])("the key %j is in the slot the servers say", async (key, slot) => {
  const said = await redisCommand(cluster.nodes[0] ?? "", ["CLUSTER", "KEYSLOT", key]);

  expect(slotOf(key)).toBe(said);
  if (slot !== undefined) expect(said).toBe(slot);
});

describe("keys in several slots", () => {
  let kv: KvBackend;
  const keys = Array.from({ length: 30 }, (_, index) => `k${String(index).padStart(2, "0")}`);
  beforeEach(async () => {
    kv = await open(configUrl(`${await cluster.freshUrl()}?timeout_ms=1000`));
  });
  afterEach(() => kv.close());
  const fillAll = (): Promise<unknown> => Promise.all(keys.map((key) => set(kv, key, `value of ${key}`)));

  it("are set, read together, listed in order and in pages, and deleted", async () => {
    await fillAll();

    expect((await kv.getMany([...keys, "absent"])).map(String)).toEqual([
      ...keys.map((key) => `value of ${key}`),
      "undefined",
    ]);
    expect(await list(kv)).toEqual(keys);
    expect((await listPages(kv, "k*", 7)).flat()).toEqual(keys);
    expect((await kv.pageKeys(glob("k0?"), 100, undefined)).keys).toHaveLength(10);
    expect(await Promise.all(keys.map((key) => remove(kv, key)))).toEqual(keys.map(() => true));
    expect(await list(kv)).toEqual([]);
  });

  it("are not changed together, as that would not be one step", async () => {
    const write = (key: string) => ({ type: "set", key, value: Buffer.from("1") }) as const;

    await expect(run(kv, write("a"), write("b"))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("{user:42}:name"),
    });
    await expect(runIf(kv, { key: "b", ifNoneMatch: "*" }, write("a"))).rejects.toMatchObject({ code: "UNSUPPORTED" });

    expect(await list(kv)).toEqual([]);
    await expect(run(kv, write("{a}1"), write("{a}2"))).resolves.toEqual([true, true]);
  });

  it("are found where a slot has moved to", async () => {
    await kv.ping();
    const slot = String(slotOf("moved"));
    const owner = Math.floor((slotOf("moved") * 3) / 16_384);
    const target = (owner + 1) % 3;
    const id = String(await redisCommand(cluster.nodes[target] ?? "", ["CLUSTER", "MYID"]));
    const back = String(await redisCommand(cluster.nodes[owner] ?? "", ["CLUSTER", "MYID"]));
    const give = async (to: string): Promise<void> => {
      // Or an older claim of the other one may come back by gossip.
      await redisCommand(cluster.nodes[to === id ? target : owner] ?? "", ["CLUSTER", "BUMPEPOCH"]);
      for (const node of [target, owner])
        await redisCommand(cluster.nodes[node] ?? "", ["CLUSTER", "SETSLOT", slot, "NODE", to]);
    };

    await give(id);
    const sums = await Promise.all(Array.from({ length: 10 }, () => increment(kv, "moved")));

    expect(sums).toContain(10n);
    expect(await redisCommand(cluster.nodes[target] ?? "", ["GET", "moved"])).toBe("10");
    await remove(kv, "moved");
    await give(back);
    expect(await increment(kv, "moved")).toBe(1n);
  });

  it("are asked for where a slot is moving to", async () => {
    await kv.ping();
    const slot = String(slotOf("asked"));
    const owner = Math.floor((slotOf("asked") * 3) / 16_384);
    const target = (owner + 1) % 3;
    const [ownerUrl = "", targetUrl = ""] = [cluster.nodes[owner], cluster.nodes[target]];
    const [ownerId, targetId] = await Promise.all(
      [ownerUrl, targetUrl].map(async (node) => String(await redisCommand(node, ["CLUSTER", "MYID"]))),
    );
    await redisCommand(targetUrl, ["CLUSTER", "SETSLOT", slot, "IMPORTING", ownerId ?? ""]);
    await redisCommand(ownerUrl, ["CLUSTER", "SETSLOT", slot, "MIGRATING", targetId ?? ""]);

    await set(kv, "asked", "1");

    expect(await text(kv, "asked")).toBe("1");
    expect(await redisCommand(ownerUrl, ["CLUSTER", "COUNTKEYSINSLOT", slot])).toBe(0);
    expect(await remove(kv, "asked")).toBe(true);
    for (const node of [targetUrl, ownerUrl]) await redisCommand(node, ["CLUSTER", "SETSLOT", slot, "STABLE"]);
  });

  const endings: Record<string, [leave: () => void | Promise<void>, comeBack: () => void | Promise<void>]> = {
    killed: [() => cluster.kill(1), () => cluster.start(1)],
    frozen: [() => cluster.freeze(1), () => cluster.thaw(1)],
  };
  it.each(Object.entries(endings))(
    "are UNAVAILABLE where a server is %s, and only there",
    async (_n, [leave, comeBack]) => {
      await fillAll();
      const isLost = (key: string): boolean => slotOf(key) >= 5461 && slotOf(key) <= 10_922;
      const [lost, others] = [keys.filter(isLost), keys.filter((key) => !isLost(key))];

      await leave();
      const outcomes = await Promise.allSettled(lost.map((key) => kv.get(key)));
      const found = await Promise.all(others.map((key) => text(kv, key)));

      for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "UNAVAILABLE" } });
      expect(found).toEqual(others.map((key) => `value of ${key}`));
      await expect(list(kv)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await comeBack();
      await until("it serves again", () =>
        Promise.all(lost.map((key) => kv.get(key))).then(
          () => true,
          () => false,
        ),
      );
    },
  );
});
