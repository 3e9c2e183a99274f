/** Versions. */

import { expect, it } from "@jest/globals";
import { MARK } from "../client.ts";
import type { Current } from "../contract.ts";

export function history({ client, folder, has }: Current): void {
  it("lists versions, the newest first, and reads each", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} one`);
    await client().update(name, `${MARK} two`);
    await client().update(name, `${MARK} three`);

    const { status, json } = await client().get(`/versions/${name}`);

    const newest = (await client().get(`/secret/${name}`)).json;
    const values = await Promise.all(
      json.versions.map(async ({ version }: { version: string }) => {
        const read = (await client().get(`/secret/${name}?version=${version}`)).json;
        expect(read).toMatchObject({ version, created_at: newest.created_at });
        return read.value;
      }),
    );
    const expected = ["three", "two", "one"].map((value) => `${MARK} ${value}`);
    expect([status, json.name]).toEqual([200, name]);
    if (has("versions-are-ids")) expect(values.toSorted()).toEqual(expected.toSorted());
    else expect(values).toEqual(expected);
    const createdAt = has("versions-tell-now") ? expect.any(String) : newest.updated_at;
    expect(json.versions).toContainEqual({ version: newest.version, created_at: createdAt });
  });

  it.each(["0", "99", "latest", "current", "-1", "a".repeat(36), "00000000-0000-4000-8000-000000000000"])(
    "has no version %s",
    async (version) => {
      const name = `${folder()}/a`;
      await client().create(name, `${MARK} one`);

      const { status, json } = await client().get(`/secret/${name}?version=${version}`);

      expect([status, json.code]).toEqual([404, "NOT_FOUND"]);
    },
  );

  it("keeps every one of the updates that come at once", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} 0`);

    const values = Array.from({ length: 6 }, (_, at) => `${MARK} ${at + 1}`);
    const answers = await Promise.all(values.map((value) => client().update(name, value)));

    expect(answers.map(({ status }) => status)).toEqual(values.map(() => 200));
    expect((await client().get(`/versions/${name}`)).json.versions).toHaveLength(7);
    expect(values).toContain((await client().get(`/secret/${name}`)).json.value);
  });
}
