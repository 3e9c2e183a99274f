import { afterEach, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { Change } from "../../src/backend.ts";
import { glob } from "../../src/glob.ts";
import { type Current, expire, increment, remove, run, runIf, set } from "../calls.ts";
import { setClock, stopClock } from "../clock.ts";

export function watching(current: Current): void {
  const endings: AbortController[] = [];
  afterEach(() => {
    for (const ending of endings.splice(0)) ending.abort();
  });

  it("tells what happens to matching keys from then on, in order", async () => {
    await set(current(), "user:1", "before");
    await set(current(), "user:2", "before");
    const { seen } = await watch("user:*");

    await set(current(), "user:1", "1");
    await set(current(), "other", "1");
    await increment(current(), "user:count");
    await remove(current(), "user:2");
    await remove(current(), "user:absent");
    await expire(current(), "user:1", 0);

    await until("four changes came", () => seen.length >= 4);
    expect(seen).toEqual(["set user:1", "set user:count", "del user:2", "del user:1"]);
  });

  it("tells of an expiry, and says nothing when one is set", async () => {
    stopClock();
    const { seen } = await watch("*");
    await set(current(), "short", "1", 2);
    await expire(current(), "short", 1);

    await setClock(1001);

    await until("it expired", () => seen.length >= 2);
    expect(seen).toEqual(["set short", "expired short"]);
  });

  it("tells every one who watches", async () => {
    const watches = await Promise.all([watch("a*"), watch("*"), watch("?b")]);

    await run(
      current(),
      { type: "set", key: "ab", value: Buffer.from("1") },
      { type: "set", key: "ac", value: Buffer.from("1") },
    );

    await until("all were told", () => watches.every(({ seen }, index) => seen.length === (index === 2 ? 1 : 2)));
    expect(watches[2]?.seen).toEqual(["set ab"]);
  });

  it("ends when it is told to, and others go on", async () => {
    const [ended, other] = await Promise.all([watch("*"), watch("*")]);

    ended?.ending.abort();
    await ended?.done;
    await set(current(), "later", "1");

    await until("the other one was told", () => other?.seen.length === 1);
    expect(ended?.seen).toEqual([]);
  });

  it("ends with an error for one who does not read", async () => {
    const ending = new AbortController();
    endings.push(ending);
    const changes = await current().watch(glob("*"), ending.signal);
    const { seen } = await watch("last");
    const all = Array.from({ length: 1000 }, (_, index) => ({
      type: "set" as const,
      key: `k${index}`,
      value: Buffer.alloc(0),
    }));

    for (let count = 0; count < 11; count++) await run(current(), ...all);
    await set(current(), "last", "1");
    await until("all of it was told", () => seen.length === 1);

    await expect(changes[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "TOO_MANY_REQUESTS" });
  });

  it("says nothing of a transaction that failed, and one thing of a key that one wrote twice", async () => {
    await set(current(), "word", "abc");
    const { seen } = await watch("*");
    const write = (key: string) => ({ type: "set", key, value: Buffer.from("1") }) as const;

    await run(current(), write("a"), { type: "increment", key: "word", by: 1n }).catch(() => undefined);
    await runIf(current(), { key: "word", ifNoneMatch: "*" }, write("a")).catch(() => undefined);
    await run(current(), write("b"), { type: "increment", key: "b", by: 1n });
    await set(current(), "last", "1");

    await until("the last was told", () => seen.includes("set last"));
    expect(seen).toEqual(["set b", "set last"]);
  });

  it("matches as a listing does", async () => {
    const { seen } = await watch("user:?[a-z]*");

    for (const key of ["user:1", "user:1a", "User:1a", "user:😀b", "user:AB", "user:1\0", "user:zz"])
      await set(current(), key, "1");

    await until("the last was told", () => seen.includes("set user:zz"));
    expect(seen).toEqual(["set user:1a", "set user:😀b", "set user:zz"]);
  });

  it("goes on for one who comes while another leaves", async () => {
    const leaving = new AbortController();
    const first = current().watch(glob("*"), leaving.signal);
    const second = watch("*");
    leaving.abort();
    const { seen } = await second;
    await first;

    await set(current(), "a", "1");

    await until("it was told", () => seen.length > 0);
    expect(seen).toEqual(["set a"]);
  });

  it("may be begun again when all have left, and tells nothing of the time between", async () => {
    const first = await watch("*");
    first.ending.abort();
    await first.done;
    await set(current(), "between", "1");

    const { seen } = await watch("*");
    await set(current(), "a", "1");

    await until("it was told", () => seen.length > 0);
    expect(seen).toEqual(["set a"]);
  });

  it("ends when the store is closed", async () => {
    const { done } = await watch("*");

    await current().close();

    await expect(done).resolves.toBeUndefined();
  });

  async function watch(
    pattern: string,
  ): Promise<{ readonly seen: string[]; readonly ending: AbortController; readonly done: Promise<void> }> {
    const ending = new AbortController();
    endings.push(ending);
    const changes = await current().watch(glob(pattern), ending.signal);
    const seen: string[] = [];
    return { seen, ending, done: read(changes, seen) };
  }

  async function read(changes: AsyncIterable<readonly Change[]>, seen: string[]): Promise<void> {
    for await (const batch of changes) seen.push(...batch.map(({ type, key }) => `${type} ${key}`));
  }
}
