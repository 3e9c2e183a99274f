/** Keys in byte order, by pattern and by page. */

import { expect, it } from "@jest/globals";
import { glob } from "../../src/glob.ts";
import { type Current, fill, list, listPages, remove, set } from "../calls.ts";

/** In the order of their UTF-8: capitals before small letters, U+FFFF before the emoji. */
const ORDERED = ["", "\0", " ", "%", "A", "Z", "a", "a\0", "a ", "aa", "b", "é", "日", "\ue000", "\uffff", "😀", "😀a"];

export function listing(current: Current): void {
  it("lists in the order of the bytes", async () => {
    const keys = ORDERED.slice(1);
    await fill(current(), keys.toReversed());

    expect(await list(current())).toEqual(keys);
    expect((await listPages(current(), "*", 4)).flat()).toEqual(keys);
  });

  it("has nothing to list when it is empty", async () => {
    expect(await list(current())).toEqual([]);
    expect(await current().pageKeys(glob("*"), 10, undefined)).toEqual({ keys: [], cursor: undefined });
  });

  const keys = [
    "a",
    "a*",
    "ab",
    "abc",
    "b",
    "b1",
    "b2",
    "bx",
    "c/d/e",
    "c/d/f",
    "[x]",
    "\\",
    "日本",
    "日光",
    "😀",
    "A",
  ];
  it.each([
    ["*", keys],
    ["a", ["a"]],
    ["a*", ["a", "a*", "ab", "abc"]],
    ["ab*", ["ab", "abc"]],
    ["*c", ["abc"]],
    ["a*c", ["abc"]],
    ["?", ["A", "a", "b", "\\", "😀"]],
    ["b?", ["b1", "b2", "bx"]],
    ["b[0-9]", ["b1", "b2"]],
    ["b[^0-9]", ["bx"]],
    ["b[!1]", ["b2", "bx"]],
    ["[ab]", ["a", "b"]],
    ["c/*", ["c/d/e", "c/d/f"]],
    ["a\\*", ["a*"]],
    ["\\[x\\]", ["[x]"]],
    ["[[]x[]]", ["[x]"]],
    ["\\\\", ["\\"]],
    ["日*", ["日光", "日本"]],
    ["日?", ["日光", "日本"]],
    ["[日]本", ["日本"]],
    ["missing*", []],
    ["", []],
    ["**", keys],
  ])("lists by the pattern %j", async (pattern, matches) => {
    await fill(current(), keys);

    const listed = await list(current(), pattern);

    expect([...listed].sort()).toEqual([...matches].sort());
    expect((await listPages(current(), pattern, 2)).flat()).toEqual(listed);
  });

  it("pages through five thousand keys without leaving one out or showing one twice", async () => {
    const many = Array.from({ length: 5000 }, (_, index) => `key:${String(index).padStart(4, "0")}`);
    await fill(current(), many);
    await fill(current(), ["a", "key", "z"]);

    expect(await list(current(), "key:*")).toEqual(many);
    for (const limit of [999, 1000, 1001, 4999, 5000, 5001]) {
      const pages = await listPages(current(), "key:*", limit);
      expect(pages.flat()).toEqual(many);
      expect(Math.max(...pages.map(({ length }) => length))).toBe(Math.min(limit, 5000));
    }
    expect((await list(current(), "*99")).length).toBe(50);
    expect((await listPages(current(), "*99", 7)).flat()).toEqual(await list(current(), "*99"));
  });

  it("has no cursor on the page that ends the list", async () => {
    await fill(current(), ["a", "b", "c"]);

    expect((await current().pageKeys(glob("*"), 3, undefined)).cursor).toBeUndefined();
    expect((await current().pageKeys(glob("*"), 4, undefined)).cursor).toBeUndefined();
    expect(await listPages(current(), "*", 1)).toEqual([["a"], ["b"], ["c"]]);
  });

  it("goes on behind the cursor when its key was deleted and others came", async () => {
    await fill(current(), ["a", "b", "c", "d"]);
    const first = await current().pageKeys(glob("*"), 2, undefined);
    await remove(current(), "b");
    await remove(current(), "c");
    await fill(current(), ["a1", "b1"]);

    const second = await current().pageKeys(glob("*"), 10, first.cursor);

    expect(first.keys).toEqual(["a", "b"]);
    expect(second).toEqual({ keys: ["b1", "d"], cursor: undefined });
  });

  it.each(["", "%", "not base64!", "YQ=", "YR", "/w", Buffer.from([0xff]).toString("base64url")])(
    "refuses the cursor %j",
    async (cursor) => {
      await set(current(), "a", "1");

      await expect(current().pageKeys(glob("*"), 1, cursor)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    },
  );

  it("refuses the cursor of a pattern with another beginning", async () => {
    await fill(current(), ["a1", "a2", "b1", "b2"]);
    const { cursor } = await current().pageKeys(glob("a*"), 1, undefined);

    await expect(current().pageKeys(glob("b*"), 1, cursor)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  });

  it("lists what was there all the time while others come and go", async () => {
    const steady = Array.from({ length: 2500 }, (_, index) => `k${String(index).padStart(4, "0")}`);
    await fill(current(), steady);

    const seen: string[] = [];
    for await (const portion of current().listKeys(glob("k*"))) {
      seen.push(...portion.filter((key) => !key.includes("x")));
      await fill(current(), [`${portion.at(-1) ?? ""}x`, "k0000x"]);
    }

    expect(seen).toEqual(steady);
  });
}
