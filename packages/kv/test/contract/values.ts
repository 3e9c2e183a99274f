/** What goes in comes out. */

import { expect, it } from "@jest/globals";
import { type Current, fill, increment, list, remove, run, set, text } from "../calls.ts";

const AWKWARD_KEYS = [
  "a/b",
  "/",
  "100%",
  "%2F",
  "two words",
  " ",
  "😀 emoji",
  "ümläut",
  "\0",
  "a\0b",
  "__proto__",
  "constructor",
  "batch",
  "*",
  "k".repeat(1024),
  "é".repeat(512),
  "😀".repeat(256),
  "\uffff",
];

export function values(current: Current): void {
  it("gives back the bytes it was given", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await set(current(), "bytes", bytes);

    expect((await current().get("bytes"))?.equals(bytes)).toBe(true);
  });

  it("tells an empty value from an absent one", async () => {
    await set(current(), "empty", "");

    expect(await current().get("empty")).toHaveLength(0);
    expect(await current().exists("empty")).toBe(true);
    expect(await current().expiresAt("empty")).toBe(Infinity);
    expect(await list(current())).toEqual(["empty"]);
  });

  it("keeps text that is not ASCII", async () => {
    await set(current(), "text", "naïve 日本 😀");

    expect(await text(current(), "text")).toBe("naïve 日本 😀");
  });

  it("keeps a value of several megabytes", async () => {
    const bytes = Buffer.alloc(5_000_000, "0123456789");
    await set(current(), "large", bytes);

    expect((await current().get("large"))?.equals(bytes)).toBe(true);
  });

  it("keeps its own copy of a value once it is stored", async () => {
    const bytes = Buffer.from("before");
    await run(current(), { type: "set", key: "a", value: bytes });

    bytes.write("behind");

    expect(await text(current(), "a")).toBe("before");
  });

  it.each(AWKWARD_KEYS)("tells the key %j from every other", async (key) => {
    await fill(current(), ["a", "b", "%", "k"]);
    await set(current(), key, `value of ${key}`);

    expect(await text(current(), key)).toBe(`value of ${key}`);
    expect(await current().exists(key)).toBe(true);
    expect((await current().getMany(["a", key])).map(String)).toEqual(["", `value of ${key}`]);
    expect(await list(current())).toContain(key);
    expect(await remove(current(), key)).toBe(true);
    expect(await current().get(key)).toBeUndefined();
    expect(await list(current())).toEqual(["%", "a", "b", "k"]);
  });

  it("has nothing under the names that objects have by themselves", async () => {
    expect(await current().getMany(["__proto__", "constructor", "toString"])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await increment(current(), "__proto__")).toBe(1n);
  });

  it("replaces a value, also by a shorter one", async () => {
    await set(current(), "a", "a long value");

    await set(current(), "a", "b");

    expect(await text(current(), "a")).toBe("b");
    expect(await list(current())).toEqual(["a"]);
  });

  it("gives many values in the order of the keys, absent and repeated ones too", async () => {
    await set(current(), "a", "1");
    await set(current(), "b", "2");

    const values = await current().getMany(["b", "missing", "a", "b"]);

    expect(values.map((value) => value?.toString())).toEqual(["2", undefined, "1", "2"]);
    expect(await current().getMany([])).toEqual([]);
  });

  it("reports whether there was something to delete", async () => {
    await set(current(), "a", "1");

    expect(await remove(current(), "a")).toBe(true);
    expect(await remove(current(), "a")).toBe(false);
    expect(await current().get("a")).toBeUndefined();
    expect(await current().exists("a")).toBe(false);
    expect(await current().expiresAt("a")).toBeUndefined();
  });

  it("counts a key that is deleted twice in one transaction once", async () => {
    await set(current(), "a", "1");

    expect(await run(current(), { type: "delete", key: "a" }, { type: "delete", key: "a" })).toEqual([true, false]);
  });
}
