/** Counting in 64 bits. */

import { expect, it } from "@jest/globals";
import { expectTime, setClock, stopClock } from "../clock.ts";
import { type Current, expire, increment, run, set, text } from "../calls.ts";

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

export function numbers(current: Current): void {
  it("counts from zero, up and down", async () => {
    expect(await increment(current(), "n")).toBe(1n);
    expect(await increment(current(), "n", 41n)).toBe(42n);
    expect(await increment(current(), "n", -50n)).toBe(-8n);
    expect(await increment(current(), "n", 0n)).toBe(-8n);
    expect(await text(current(), "n")).toBe("-8");
  });

  it("counts a hundred concurrent increments as a hundred", async () => {
    const sums = await Promise.all(Array.from({ length: 100 }, () => increment(current(), "visits")));

    expect(await text(current(), "visits")).toBe("100");
    expect(new Set(sums).size).toBe(100);
  });

  it("reads numbers that were stored as text", async () => {
    await set(current(), "n", "9007199254740993");

    expect(await increment(current(), "n")).toBe(9007199254740994n);
  });

  it.each([
    ["007", 8n],
    ["-0", 1n],
    ["-0000000000000000001", 0n],
    ["0000000000000000000", 1n],
  ])("reads the digits %s, and writes the sum without leading zeros", async (digits, sum) => {
    await set(current(), "n", digits);

    expect(await increment(current(), "n")).toBe(sum);
    expect(await text(current(), "n")).toBe(String(sum));
  });

  it.each([
    [-10_000_000_000n, 1n],
    [10_000_000_000n, -1n],
    [-9_999_999_999n, 20_000_000_000n],
    [9_999_999_999n, 1n],
    [-9_999_999_999n, -1n],
    [-5n, 20_000_000_003n],
    [123_456_789_012_345_678n, -123_456_789_012_345_678n],
    [MAX, MIN],
  ])("adds %d and %d exactly", async (from, by) => {
    await set(current(), "n", String(from));

    expect(await increment(current(), "n", by)).toBe(from + by);
    expect(await text(current(), "n")).toBe(String(from + by));
  });

  it.each([
    ["the largest", MAX - 1n, 1n, MAX],
    ["the smallest", MIN + 1n, -1n, MIN],
    ["zero from the smallest in two steps", MIN + MAX, 1n, 0n],
  ])("reaches %s number", async (_name, from, by, sum) => {
    await set(current(), "n", String(from));

    expect(await increment(current(), "n", by)).toBe(sum);
    expect(await text(current(), "n")).toBe(String(sum));
  });

  it("starts an absent key at either end of the range", async () => {
    expect(await increment(current(), "high", MAX)).toBe(MAX);
    expect(await increment(current(), "low", MIN)).toBe(MIN);
    expect(await increment(current(), "high", MIN)).toBe(-1n);
  });

  it.each([
    ["above", MAX, 1n],
    ["far above", MAX, MAX],
    ["below", MIN, -1n],
  ])("refuses a sum %s the range, and leaves the value", async (_name, from, by) => {
    await set(current(), "n", String(from));

    await expect(increment(current(), "n", by)).rejects.toMatchObject({ code: "CONFLICT" });

    expect(await text(current(), "n")).toBe(String(from));
  });

  it.each([
    "abc",
    "1.5",
    " 1",
    "1 ",
    "1\n",
    "",
    "-",
    "+1",
    "0x10",
    "1e3",
    "١",
    "9223372036854775808",
    "-9223372036854775809",
    "1".repeat(1000),
  ])("refuses to add to %j, and leaves it", async (value) => {
    await set(current(), "n", value);

    await expect(increment(current(), "n")).rejects.toMatchObject({ code: "CONFLICT" });

    expect(await text(current(), "n")).toBe(value);
  });

  it("keeps the expiry that is there, and uses a ttl only for a new key", async () => {
    stopClock();
    await set(current(), "old", "1", 100);
    await set(current(), "forever", "1");
    await setClock(10_000);

    await increment(current(), "old", 1n, 500);
    await increment(current(), "forever", 1n, 500);
    await increment(current(), "new", 1n, 500);
    await increment(current(), "plain");

    expectTime(await current().expiresAt("old"), 100_000);
    expect(await current().expiresAt("forever")).toBe(Infinity);
    expectTime(await current().expiresAt("new"), 510_000);
    expect(await current().expiresAt("plain")).toBe(Infinity);
  });

  it("starts anew when the number has expired, with the ttl of that call", async () => {
    stopClock();
    await set(current(), "n", "41", 1);
    await setClock(1000);

    expect(await increment(current(), "n", 1n, 5)).toBe(1n);
    expectTime(await current().expiresAt("n"), 6000);
    expect(await expire(current(), "n")).toBe(true);
    expect(await increment(current(), "n", 1n, 5)).toBe(2n);
    expect(await current().expiresAt("n")).toBe(Infinity);
  });

  it("adds several times within one transaction", async () => {
    const twice = { type: "increment", key: "n", by: 2n } as const;

    expect(await run(current(), twice, twice, { ...twice, by: -1n })).toEqual([2n, 4n, 3n]);
  });
}
