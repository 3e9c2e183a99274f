/** Commits and reads within one process. */

import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { type Draft, type Environment, openEnvironment, type Table } from "../src/index.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let environment: Environment;
let table: Table;
beforeEach(() => {
  folder = temporaryFolder();
  path = `${folder.path}/deep/er/data.lmdb`;
  environment = openEnvironment(path);
  table = environment.table("values");
});
afterEach(async () => {
  await environment.close();
  folder.remove();
});

const put = (key: string, value: string) => (draft: Draft) => draft.put(table, bytes(key), bytes(value));
const read = (key: string): string | undefined => table.get(bytes(key))?.toString("latin1");

describe("a commit", () => {
  it("resolves with what its step returns, once others can read what it wrote", async () => {
    const result = await environment.commit((draft) => {
      put("a", "1")(draft);
      return 42;
    });

    expect(result).toBe(42);
    expect(read("a")).toBe("1");
  });

  it("is on the file for the next to open it", async () => {
    await Promise.all(["a", "b", "c"].map((key) => environment.commit(put(key, key))));
    await environment.close();

    environment = openEnvironment(path);
    table = environment.table("values");

    expect(["a", "b", "c"].map(read)).toEqual(["a", "b", "c"]);
  });

  it("shows nothing to readers before it is done", async () => {
    const committing = environment.commit(put("a", "1"));

    expect(read("a")).toBeUndefined();
    await committing;
    expect(read("a")).toBe("1");
  });

  it("sees what the steps before it have written, in the order of the calls", async () => {
    const append = (word: string) => (draft: Draft) => {
      const old = draft.get(table, bytes("list"))?.toString() ?? "";
      draft.put(table, bytes("list"), bytes(old + word));
      return old;
    };

    const seen = await Promise.all(["a", "b", "c"].map((word) => environment.commit(append(word))));

    expect(seen).toEqual(["", "a", "ab"]);
    expect(read("list")).toBe("abc");
  });

  it("sees its own writes and removals, in each table apart", async () => {
    const other = environment.table("other");
    await environment.commit(put("old", "1"));

    const seen = await environment.commit((draft) => {
      draft.put(table, bytes("new"), bytes("2"));
      draft.remove(table, bytes("old"));
      draft.put(other, bytes("old"), bytes("3"));
      return [
        draft.get(table, bytes("new"))?.toString(),
        draft.has(table, bytes("new")),
        draft.get(table, bytes("old")),
        draft.has(table, bytes("old")),
        draft.get(other, bytes("old"))?.toString(),
        draft.has(other, bytes("new")),
      ];
    });

    expect(seen).toEqual(["2", true, undefined, false, "3", false]);
    expect([read("new"), read("old")]).toEqual(["2", undefined]);
  });

  it("rejects alone when its step throws, and the others are done", async () => {
    const outcomes = await Promise.allSettled([
      environment.commit(put("a", "1")),
      environment.commit(() => {
        throw new RangeError("not this one");
      }),
      environment.commit(put("b", "2")),
    ]);

    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: new RangeError("not this one") });
    expect([read("a"), read("b")]).toEqual(["1", "2"]);
  });

  it("may write nothing", async () => {
    expect(await environment.commit(() => "nothing")).toBe("nothing");
  });

  it("may be called by another that has just ended, without end", async () => {
    for (let count = 0; count < 200; count++) await environment.commit(put(`k${count}`, "1"));

    expect([...table.keys({})]).toHaveLength(200);
  });

  it("of a thousand calls at once loses none", async () => {
    const add = (draft: Draft): void => {
      draft.put(table, bytes("n"), bytes(String(Number(draft.get(table, bytes("n")) ?? 0) + 1)));
    };

    await Promise.all(Array.from({ length: 1000 }, () => environment.commit(add)));

    expect(read("n")).toBe("1000");
  });

  it("shares one transaction with the calls of the same moment", async () => {
    let runs = 0;
    const drafts = new Set<Draft>();
    const step = (draft: Draft): void => {
      runs += 1;
      drafts.add(draft);
      put(`k${runs}`, "1")(draft);
    };

    await Promise.all(Array.from({ length: 100 }, () => environment.commit(step)));

    expect(runs).toBe(100);
    expect(drafts.size).toBe(1);
  });

  it("is kept as well when it is acknowledged before the sync", async () => {
    await environment.close();
    environment = openEnvironment(path, { sync: false });
    table = environment.table("values");
    await environment.commit(put("a", "1"));
    await environment.close();

    environment = openEnvironment(path);
    table = environment.table("values");

    expect(read("a")).toBe("1");
  });
});

describe("a table", () => {
  it("keeps any bytes, and tells empty from absent", async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const key = Buffer.concat([all, all]);
    await environment.commit((draft) => {
      draft.put(table, key, all);
      draft.put(table, Buffer.from([0]), Buffer.alloc(0));
    });

    expect(table.get(key)).toEqual(all);
    expect(table.get(Buffer.from([0]))).toHaveLength(0);
    expect([table.has(Buffer.from([0])), table.has(Buffer.from([1]))]).toEqual([true, false]);
    expect(table.get(Buffer.from([1]))).toBeUndefined();
  });

  it("takes keys of 1978 bytes and values of megabytes", async () => {
    const key = Buffer.alloc(1978, "k");
    const value = Buffer.alloc(9_000_000, "0123456789");
    await environment.commit((draft) => draft.put(table, key, value));

    expect(table.get(key)?.equals(value)).toBe(true);
    expect([...table.keys({})]).toEqual([key]);
  });

  it("gives out values that stay as they are when the key is written again", async () => {
    await environment.commit(put("a", "first"));
    const value = table.get(bytes("a"));
    await environment.commit(put("a", "other"));

    expect(value?.toString()).toBe("first");
  });

  it("walks in byte order, from the start to before the end, up to the limit", async () => {
    const keys = ["\x00", "A", "a", "a\x00", "a\xff", "b", "\xff"];
    await environment.commit((draft) => keys.toReversed().forEach((key) => put(key, `v${key}`)(draft)));
    const walk = (range: Parameters<Table["keys"]>[0]): string[] =>
      [...table.keys(range)].map((key) => key.toString("latin1"));

    expect(walk({})).toEqual(keys);
    expect(walk({ start: bytes("a"), end: bytes("b") })).toEqual(["a", "a\x00", "a\xff"]);
    expect(walk({ start: bytes("a\x01"), limit: 2 })).toEqual(["a\xff", "b"]);
    expect(walk({ end: bytes("A") })).toEqual(["\x00"]);
    expect([...table.entries({ start: bytes("b") })]).toEqual([
      { key: bytes("b"), value: bytes("vb") },
      { key: bytes("\xff"), value: bytes("v\xff") },
    ]);
  });

  it("is apart from another of the same file", async () => {
    const other = environment.table("other");
    await environment.commit((draft) => draft.put(other, bytes("a"), bytes("1")));

    expect(read("a")).toBeUndefined();
    expect([...table.keys({})]).toEqual([]);
  });
});

describe("the close", () => {
  it("waits for the commits under way", async () => {
    const written = Array.from({ length: 20 }, (_, index) => environment.commit(put(`k${index}`, "1")));
    await environment.close();

    await Promise.all(written);
    environment = openEnvironment(path);
    expect([...environment.table("values").keys({})]).toHaveLength(20);
  });

  it("may be asked for twice, also at once", async () => {
    await expect(Promise.all([environment.close(), environment.close()])).resolves.toBeDefined();
    await expect(environment.close()).resolves.toBeUndefined();
  });

  it("refuses commits from its call on, and reads once it is done", async () => {
    const closing = environment.close();
    await expect(environment.commit(put("a", "1"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await closing;

    const unavailable = expect.objectContaining({ code: "UNAVAILABLE" });
    expect(() => table.get(bytes("a"))).toThrow(unavailable);
    expect(() => table.has(bytes("a"))).toThrow(unavailable);
    expect(() => table.keys({})).toThrow(unavailable);
    expect(() => table.entries({})).toThrow(unavailable);
    await expect(environment.commit(() => 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
