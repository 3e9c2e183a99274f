/** All or nothing, one after the other. */

import { describe, expect, it } from "@jest/globals";
import type { Condition, KvBackend, Operation } from "../../src/backend.ts";
import { eTag } from "../../src/value.ts";
import { expectTime, START, stopClock } from "../clock.ts";
import { type Current, fill, increment, list, run, runIf, set, text } from "../calls.ts";

const write = (key: string, value: string): Operation => ({ type: "set", key, value: Buffer.from(value) });
const tagOf = (value: string): string => eTag(Buffer.from(value));

export function conditions(current: Current): void {
  const present: readonly [string, Omit<Condition, "key">, boolean][] = [
    ["ifMatch with its tag", { ifMatch: [tagOf("old")] }, true],
    ["ifMatch with its tag among others", { ifMatch: [tagOf("x"), tagOf("old")] }, true],
    ["ifMatch with another tag", { ifMatch: [tagOf("x")] }, false],
    ["ifMatch with no tag", { ifMatch: [] }, false],
    ["ifMatch with *", { ifMatch: "*" }, true],
    ["ifNoneMatch with its tag", { ifNoneMatch: [tagOf("old")] }, false],
    ["ifNoneMatch with another tag", { ifNoneMatch: [tagOf("x")] }, true],
    ["ifNoneMatch with *", { ifNoneMatch: "*" }, false],
    ["both, of which one fails", { ifMatch: "*", ifNoneMatch: [tagOf("old")] }, false],
    ["none at all", {}, true],
  ];
  describe("on a key that is there", () => {
    it.each(present)("%s: %j holds: %s", async (_name, condition, holds) => {
      await set(current(), "a", "old");

      await attempt(current(), { key: "a", ...condition }, holds);

      expect(await text(current(), "a")).toBe(holds ? "new" : "old");
    });
  });

  const absent: readonly [string, Omit<Condition, "key">, boolean][] = [
    ["ifMatch with a tag", { ifMatch: [tagOf("old")] }, false],
    ["ifMatch with the tag of nothing", { ifMatch: [tagOf("")] }, false],
    ["ifMatch with *", { ifMatch: "*" }, false],
    ["ifNoneMatch with a tag", { ifNoneMatch: [tagOf("old")] }, true],
    ["ifNoneMatch with *", { ifNoneMatch: "*" }, true],
  ];
  describe("on a key that is absent", () => {
    it.each(absent)("%s: %j holds: %s", async (_name, condition, holds) => {
      await attempt(current(), { key: "a", ...condition }, holds);

      expect(await text(current(), "a")).toBe(holds ? "new" : undefined);
    });
  });

  it("checks the conditions before the first operation, on keys it does not write too", async () => {
    await set(current(), "lock", "mine");
    const conditions = [
      { key: "lock", ifMatch: [tagOf("mine")] },
      { key: "a", ifNoneMatch: "*" as const },
    ];

    await current().transact({ conditions, operations: [write("a", "1"), write("lock", "free")] });

    expect(await text(current(), "a")).toBe("1");
    expect(await text(current(), "lock")).toBe("free");
    await expect(current().transact({ conditions, operations: [write("a", "2")] })).rejects.toMatchObject({
      code: "PRECONDITION_FAILED",
      details: { key: "lock" },
    });
  });

  it("changes nothing when a later operation fails", async () => {
    stopClock();
    await set(current(), "a", "old");
    await set(current(), "gone", "still here", 100);
    await set(current(), "word", "abc");
    const before = (await current().expiresAt("gone")) ?? 0;

    const failing = run(
      current(),
      write("a", "new"),
      { type: "delete", key: "gone" },
      { type: "increment", key: "word", by: 1n },
      write("b", "new"),
    );

    await expect(failing).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await text(current(), "a")).toBe("old");
    expect(await text(current(), "gone")).toBe("still here");
    expectTime(await current().expiresAt("gone"), before - START);
    expect(await list(current())).toEqual(["a", "gone", "word"]);
  });

  it("rejects a failing transaction alone among those that come at the same moment", async () => {
    await set(current(), "word", "abc");

    const outcomes = await Promise.allSettled([
      increment(current(), "a"),
      run(current(), write("a", "50"), { type: "increment", key: "word", by: 1n }),
      increment(current(), "a"),
    ]);

    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await text(current(), "a")).toBe("2");
  });

  it("lets a later operation see what an earlier one did", async () => {
    const results = await run(
      current(),
      write("n", "41"),
      { type: "increment", key: "n", by: 1n },
      { type: "delete", key: "n" },
      { type: "delete", key: "n" },
      { type: "increment", key: "n", by: 5n },
      write("m", "last"),
      { type: "delete", key: "m" },
    );

    expect(results).toEqual([true, 42n, true, false, 5n, true, true]);
    expect(await text(current(), "n")).toBe("5");
    expect(await list(current())).toEqual(["n"]);
  });

  it("does nothing in a transaction without operations", async () => {
    await set(current(), "a", "1");

    expect(await run(current())).toEqual([]);
    await expect(runIf(current(), { key: "a", ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PRECONDITION_FAILED",
    });
    expect(await list(current())).toEqual(["a"]);
  });

  it("lets exactly one of fifty set a key that is absent", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) =>
        runIf(current(), { key: "leader", ifNoneMatch: "*" }, write("leader", String(index))),
      ),
    );

    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [String(index)] : []));
    expect(winners).toHaveLength(1);
    expect(await text(current(), "leader")).toBe(winners[0]);
  });

  it("loses no update of concurrent compare-and-set loops", async () => {
    await set(current(), "list", "");
    const append = async (word: string): Promise<void> => {
      for (;;) {
        const old = (await text(current(), "list")) ?? "";
        const changed = runIf(current(), { key: "list", ifMatch: [tagOf(old)] }, write("list", `${old}${word} `));
        if (await changed.then(() => true, isLost)) return;
      }
    };

    const words = Array.from({ length: 20 }, (_, index) => `w${index}`);
    await Promise.all(words.map(append));

    expect((await text(current(), "list"))?.trim().split(" ").sort()).toEqual(words.sort());
  });

  it("never shows a reader half of a transaction", async () => {
    const keys = ["x", "y", "z"];
    await fill(current(), keys);
    let isWriting = true;
    const writing = (async () => {
      for (let round = 0; round < 50; round++) await run(current(), ...keys.map((key) => write(key, String(round))));
      isWriting = false;
    })();

    const seen: number[] = [];
    while (isWriting) {
      const values = await current().getMany(keys);
      seen.push(new Set(values.map(String)).size);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writing;

    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([1]));
  });
}

async function attempt(kv: KvBackend, condition: Condition, holds: boolean): Promise<void> {
  const changing = runIf(kv, condition, write("a", "new"));
  if (holds) await changing;
  else await expect(changing).rejects.toMatchObject({ code: "PRECONDITION_FAILED", details: { key: "a" } });
}

function isLost(error: { code?: string }): false {
  expect(error.code).toBe("PRECONDITION_FAILED");
  return false;
}
