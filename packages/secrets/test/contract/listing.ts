/** Names: all of them, in order, in pages, below a prefix. */

import { expect, it } from "@jest/globals";
import { MARK } from "../client.ts";
import type { Current } from "../contract.ts";

interface Listed {
  readonly name: string;
}

export function listing({ client, folder }: Current): void {
  const names = async (path: string): Promise<string[]> =>
    (await client().get(path)).json.secrets.map(({ name }: Listed) => name);
  const createAll = async (all: readonly string[]): Promise<void> => {
    for (let at = 0; at < all.length; at += 16) {
      const answers = await Promise.all(
        all.slice(at, at + 16).map((name) => client().create(name, `${MARK} of ${name}`)),
      );
      expect(answers.every(({ status }) => status === 201)).toBe(true);
    }
  };

  it("lists every level, in the order of the names, without values", async () => {
    const parts = ["a/b/c/d", "a", "a/b", "a-b", "a.b", "a/b/c", "b", "a0", "B", "a/b-c"];
    await createAll(parts.map((part) => `${folder()}/${part}`));

    const { status, json } = await client().get(`/list/${folder()}`);
    const read = (await client().get(`/secret/${folder()}/a/b`)).json;

    const expected = parts.map((part) => `${folder()}/${part}`).sort();
    expect([status, json.count, json.prefix]).toEqual([200, parts.length, folder()]);
    expect(json.secrets.map(({ name }: Listed) => name)).toEqual(expected);
    expect(json.secrets.find(({ name }: Listed) => name.endsWith("/a/b"))).toEqual({
      name: `${folder()}/a/b`,
      version: read.version,
      created_at: read.created_at,
      updated_at: expect.any(String),
    });
    expect(json.cursor).toBeUndefined();
  });

  it("takes a prefix as whole segments", async () => {
    const parts = ["db", "db/one", "db/two/three", "db-old/one", "dbx", "other/db/one"];
    await createAll(parts.map((part) => `${folder()}/${part}`));

    expect(await names(`/list/${folder()}/db`)).toEqual([`${folder()}/db/one`, `${folder()}/db/two/three`]);
    expect(await names(`/list/${folder()}/db/`)).toEqual([`${folder()}/db/one`, `${folder()}/db/two/three`]);
    expect(await names(`/list/${folder()}/db/one`)).toEqual([]);
    expect(await names(`/list/${folder()}/absent`)).toEqual([]);
  });

  it("lists the whole of it without a prefix", async () => {
    await createAll([`${folder()}/a`, `${folder()}-beside`]);

    const all = await names("/list");

    expect(all).toEqual(expect.arrayContaining([`${folder()}/a`, `${folder()}-beside`]));
    expect(all).toEqual(all.toSorted());
  });

  it("lists in pages that together are the whole", async () => {
    const parts = Array.from({ length: 120 }, (_, at) => `${folder()}/${["x", "y/z", "y"][at % 3]}/n${at}`);
    await createAll(parts);

    const found: string[] = [];
    const sizes: number[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { json } = await client().get(`/list/${folder()}?limit=50${from}`);
      found.push(...json.secrets.map(({ name }: Listed) => name));
      sizes.push(json.count);
      cursor = json.cursor;
    }

    expect(sizes).toEqual([50, 50, 20]);
    expect(found).toEqual(parts.toSorted());
    expect(await names(`/list/${folder()}`)).toEqual(found);
    expect(await names(`/list/${folder()}?cursor=${found[99]}`)).toEqual(found.slice(100));
    expect((await client().get(`/list/${folder()}?limit=120`)).json.cursor).toBeNull();
  }, 60_000);
}
