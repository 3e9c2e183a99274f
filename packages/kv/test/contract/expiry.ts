/** Exact to the read: a clock that stands still shows it to the millisecond. */

import { beforeEach, expect, it } from "@jest/globals";
import { glob } from "../../src/glob.ts";
import { type Current, expire, increment, list, listPages, remove, run, runIf, set, text } from "../calls.ts";
import { expectTime, justBefore, setClock, stopClock } from "../clock.ts";

export function expiry(current: Current): void {
  beforeEach(stopClock);

  it("keeps a value until the last millisecond of its time", async () => {
    await set(current(), "a", "1", 2);

    await setClock(justBefore(2000));

    expect(await text(current(), "a")).toBe("1");
    expectTime(await current().expiresAt("a"), 2000);
    expect(await list(current())).toEqual(["a"]);
  });

  it("hides an expired key from every read", async () => {
    await set(current(), "a", "1", 2);
    await set(current(), "b", "2");

    await setClock(2000);

    expect(await current().get("a")).toBeUndefined();
    expect((await current().getMany(["a", "b"])).map((value) => value?.toString())).toEqual([undefined, "2"]);
    expect(await current().exists("a")).toBe(false);
    expect(await current().expiresAt("a")).toBeUndefined();
    expect(await list(current())).toEqual(["b"]);
    expect(await list(current(), "a")).toEqual([]);
    expect(await listPages(current(), "*", 1)).toEqual([["b"]]);
  });

  it("treats an expired key as absent in every write", async () => {
    const keys = ["deleted", "expired", "persisted", "counted"];
    for (const key of keys) await set(current(), key, "7", 1);

    await setClock(1000);

    expect(await remove(current(), "deleted")).toBe(false);
    expect(await expire(current(), "expired", 100)).toBe(false);
    expect(await expire(current(), "persisted")).toBe(false);
    expect(await increment(current(), "counted")).toBe(1n);
    expect(await list(current())).toEqual(["counted"]);
    expect(await current().expiresAt("counted")).toBe(Infinity);
  });

  it("treats an expired key as absent in every condition", async () => {
    const write = { type: "set", key: "a", value: Buffer.from("new") } as const;
    await set(current(), "a", "old", 1);
    await setClock(1000);

    await expect(runIf(current(), { key: "a", ifMatch: "*" }, write)).rejects.toMatchObject({
      code: "PRECONDITION_FAILED",
    });
    await runIf(current(), { key: "a", ifNoneMatch: "*" }, write);

    expect(await text(current(), "a")).toBe("new");
  });

  it("forgets the expiry when the key is set again", async () => {
    await set(current(), "a", "1", 1);
    await set(current(), "a", "2");

    await setClock(5000);

    expect(await text(current(), "a")).toBe("2");
    expect(await current().expiresAt("a")).toBe(Infinity);
  });

  it("replaces the expiry when the key is set with another", async () => {
    await set(current(), "longer", "1", 1);
    await set(current(), "longer", "1", 10);
    await set(current(), "shorter", "1", 10);
    await set(current(), "shorter", "1", 1);

    await setClock(5000);

    expect(await list(current())).toEqual(["longer"]);
    expectTime(await current().expiresAt("longer"), 10_000);
  });

  it("sets, moves and removes the expiry of a key without its value", async () => {
    await set(current(), "a", "1");

    expect(await expire(current(), "a", 10)).toBe(true);
    expectTime(await current().expiresAt("a"), 10_000);
    expect(await expire(current(), "a", 5)).toBe(true);
    expectTime(await current().expiresAt("a"), 5000);
    expect(await expire(current(), "a")).toBe(true);
    expect(await current().expiresAt("a")).toBe(Infinity);
    expect(await text(current(), "a")).toBe("1");
  });

  it.each([0, -1, -1000])("deletes a key whose time to live becomes %d", async (seconds) => {
    await set(current(), "a", "1", 100);

    expect(await expire(current(), "a", seconds)).toBe(true);
    expect(await current().exists("a")).toBe(false);
    expect(await expire(current(), "a", seconds)).toBe(false);
  });

  it("does not expire a key that was deleted and made again", async () => {
    await set(current(), "a", "1", 1);
    await remove(current(), "a");
    await set(current(), "a", "2");

    await setClock(2000);

    expect(await text(current(), "a")).toBe("2");
  });

  it("brings an expired key to life again with a new value only", async () => {
    await set(current(), "a", "old", 1);
    await setClock(1000);

    expect(await expire(current(), "a", 100)).toBe(false);
    await set(current(), "a", "new", 1);
    await setClock(justBefore(2000));
    expect(await text(current(), "a")).toBe("new");
    await setClock(2000);

    expect(await current().get("a")).toBeUndefined();
  });

  it("knows the expiry that an earlier operation of the transaction has set", async () => {
    const results = await run(
      current(),
      { type: "set", key: "a", value: Buffer.from("1"), ttlSeconds: 5 },
      { type: "increment", key: "a", by: 1n, ttlSeconds: 50 },
      { type: "expire", key: "b", ttlSeconds: 5 },
      { type: "set", key: "b", value: Buffer.from("1") },
      { type: "expire", key: "b", ttlSeconds: 7 },
      { type: "set", key: "c", value: Buffer.from("1") },
      { type: "expire", key: "c", ttlSeconds: 0 },
    );

    expect(results).toEqual([true, 2n, false, true, true, true, true]);
    expectTime(await current().expiresAt("a"), 5000);
    expectTime(await current().expiresAt("b"), 7000);
    expect(await text(current(), "b")).toBe("1");
    expect(await current().exists("c")).toBe(false);
  });

  it("takes times to live of thousands of years", async () => {
    await set(current(), "a", "1", 100_000_000_000);

    expectTime(await current().expiresAt("a"), 100_000_000_000_000);
    expect(await text(current(), "a")).toBe("1");
  });

  it("lists a key without end that shares its beginning with expired ones", async () => {
    await set(current(), "a", "1", 1);
    await set(current(), "a:1", "1");
    await set(current(), "a:2", "1", 1);
    await set(current(), "a:3", "1");
    await setClock(1000);

    const page = await current().pageKeys(glob("a*"), 1, undefined);

    expect(page.keys).toEqual(["a:1"]);
    expect((await current().pageKeys(glob("a*"), 1, page.cursor)).keys).toEqual(["a:3"]);
  });
}
