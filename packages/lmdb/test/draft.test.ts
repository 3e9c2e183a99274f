/** Ranges over what is committed and what a commit has changed so far. */

import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { type Environment, openEnvironment, type Table } from "../src/index.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const names = (entries: Iterable<{ key: Buffer; value: Buffer }>): string[] =>
  [...entries].map(({ key, value }) => `${key.toString("latin1")}=${value.toString("latin1")}`);

let folder: ReturnType<typeof temporaryFolder>;
let environment: Environment;
let table: Table;
beforeEach(() => {
  folder = temporaryFolder();
  environment = openEnvironment(`${folder.path}/data.lmdb`);
  table = environment.table("values");
});
afterEach(async () => {
  await environment.close();
  folder.remove();
});

it("walks what was committed, without what is removed and with what is added, in byte order", async () => {
  await environment.commit((draft) =>
    ["a", "c", "e", "\xff"].forEach((key) => draft.put(table, bytes(key), bytes("1"))),
  );

  const seen = await environment.commit((draft) => {
    draft.remove(table, bytes("a"));
    draft.put(table, bytes("c"), bytes("2"));
    draft.put(table, bytes("b"), bytes("2"));
    draft.put(table, bytes("\xfe"), bytes("2"));
    return [{}, { limit: 2 }, { limit: 0 }, { start: bytes("c"), end: bytes("\xff") }].map((range) =>
      names(draft.entries(table, range)),
    );
  });

  expect(seen).toEqual([["b=2", "c=2", "e=1", "\xfe=2", "\xff=1"], ["b=2", "c=2"], [], ["c=2", "e=1", "\xfe=2"]]);
});

it("agrees with what a reader finds after the commit, whatever was done", async () => {
  const pick = (count: number): number => Math.floor(Math.random() * count);
  for (let round = 0; round < 50; round++) {
    const range = { start: bytes(String(pick(30))), end: bytes(String(30 + pick(70))), limit: 1 + pick(20) };

    const seen = await environment.commit((draft) => {
      for (let count = pick(20); count >= 0; count--) {
        const key = bytes(String(pick(100)));
        if (pick(2) === 0) draft.remove(table, key);
        else draft.put(table, key, bytes(String(round)));
      }
      return names(draft.entries(table, range));
    });

    expect(seen).toEqual(names(table.entries(range)));
  }
});

it("tells by its generation that this process or another environment has committed", async () => {
  const other = openEnvironment(`${folder.path}/data.lmdb`);
  const before = environment.generation();
  expect(environment.foreignCommits()).toBe(0);

  await other.commit((draft) => draft.put(other.table("values"), bytes("a"), bytes("1")));

  expect(environment.generation()).toBe(before + 1);
  expect(environment.foreignCommits()).toBe(1);
  expect(names(table.entries({}))).toEqual(["a=1"]);
  await other.close();
});

it("counts the commits of others exactly, also while it commits itself and looks all the time", async () => {
  const path = `${folder.path}/counted.lmdb`;
  const [mine, theirs] = [openEnvironment(path), openEnvironment(path)];
  const put = async (own: Environment): Promise<void> => {
    const values = own.table("values");
    for (let count = 0; count < 100; count++) {
      await own.commit((draft) => draft.put(values, bytes(String(count)), bytes("1")));
    }
  };
  expect(mine.foreignCommits()).toBe(0);
  let isOver = false;
  const counts: number[] = [];
  const look = async (): Promise<void> => {
    while (!isOver) {
      counts.push(mine.foreignCommits());
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const looking = look();

  await Promise.all([put(mine), put(theirs)]);

  isOver = true;
  await looking;
  expect(mine.foreignCommits()).toBe(100);
  expect(counts.every((count, index) => index === 0 || count >= (counts[index - 1] ?? 0))).toBe(true);
  await mine.close();
  await theirs.close();
});
