/** Create, read, update, delete. */

import { expect, it } from "@jest/globals";
import { MARK } from "../client.ts";
import type { Current } from "../contract.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export function writing({ client, folder }: Current): void {
  it("creates a secret and reads it", async () => {
    const name = `${folder()}/db/password`;
    const before = Date.now();

    const created = await client().create(name, `${MARK} one`, { team: "payments" });
    const read = await client().get(`/secret/${name}`);

    expect([created.status, created.json]).toEqual([201, { status: "created", name }]);
    expect([read.status, read.headers["cache-control"]]).toEqual([200, "no-store"]);
    expect(read.json).toEqual({
      value: `${MARK} one`,
      version: expect.stringMatching(/./),
      created_at: expect.stringMatching(TIME),
      updated_at: expect.stringMatching(TIME),
      labels: { team: "payments" },
    });
    expect(Math.abs(Date.parse(read.json.created_at) - before)).toBeLessThan(10_000);
  });

  it("refuses to create what exists, and changes nothing", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} one`, { team: "a" });
    const before = (await client().get(`/secret/${name}`)).json;

    const { status, json } = await client().create(name, `${MARK} two`, { team: "b" });

    expect([status, json.code]).toEqual([409, "CONFLICT"]);
    expect((await client().get(`/secret/${name}`)).json).toEqual(before);
  });

  it("creates a secret once when many try at once", async () => {
    const name = `${folder()}/a`;

    const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => client().create(name, `${MARK} ${at}`)));

    const winner = answers.findIndex(({ status }) => status === 201);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(11).fill(409)]);
    expect((await client().get(`/secret/${name}`)).json.value).toBe(`${MARK} ${winner}`);
    expect((await client().get(`/versions/${name}`)).json.versions).toHaveLength(1);
  });

  it("updates what exists, and keeps its labels", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} one`, { team: "a", tier: "gold" });
    const before = (await client().get(`/secret/${name}`)).json;

    const { status, json } = await client().update(name, `${MARK} two`);

    const after = (await client().get(`/secret/${name}`)).json;
    expect([status, json]).toEqual([200, { status: "updated", name }]);
    expect(after).toMatchObject({ value: `${MARK} two`, created_at: before.created_at, labels: before.labels });
    expect(after.version).not.toBe(before.version);
    expect(Date.parse(after.updated_at)).toBeGreaterThanOrEqual(Date.parse(before.updated_at));
  });

  it("updates with labels that take the place of those before", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} one`, { team: "a", tier: "gold" });

    await client().update(name, `${MARK} two`, { team: "b", zone: "x" });
    const changed = (await client().get(`/secret/${name}`)).json;
    await client().update(name, `${MARK} three`, {});

    expect(changed.labels).toEqual({ team: "b", zone: "x" });
    expect((await client().get(`/secret/${name}`)).json).toMatchObject({ value: `${MARK} three`, labels: {} });
  });

  it("keeps labels or refuses them, and loses none", async () => {
    const name = `${folder()}/a`;
    const labels = { "Owner/Team.x": "Payments, Ltd. <ops@example.org>" };

    const { status, json } = await client().create(name, `${MARK} one`, labels);

    const { exists } = (await client().get(`/exists/${name}`)).json;
    if (status === 201) expect((await client().get(`/secret/${name}`)).json.labels).toEqual(labels);
    else expect([status, json.code, exists]).toEqual([501, "UNSUPPORTED", false]);
  });

  it("refuses to update, delete and read what is absent, and makes nothing", async () => {
    const name = `${folder()}/absent`;

    const answers = [
      await client().update(name, `${MARK} one`),
      await client().remove(name),
      await client().get(`/secret/${name}`),
      await client().get(`/versions/${name}`),
    ];

    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [404, "NOT_FOUND"]));
    expect((await client().get(`/exists/${name}`)).json).toEqual({ exists: false, name });
  });

  it("deletes a secret with all it was, so that it can be made anew", async () => {
    const name = `${folder()}/a`;
    await client().create(name, `${MARK} one`, { team: "a" });
    await client().update(name, `${MARK} two`);

    const { status, json } = await client().remove(name);
    const gone = [
      (await client().get(`/secret/${name}`)).status,
      (await client().remove(name)).status,
      (await client().get(`/exists/${name}`)).json.exists,
      (await client().get(`/list/${folder()}`)).json.count,
    ];
    const again = await client().create(name, `${MARK} three`);

    expect([status, json]).toEqual([200, { status: "deleted", name }]);
    expect([...gone, again.status]).toEqual([404, 404, false, 0, 201]);
    expect((await client().get(`/secret/${name}`)).json).toMatchObject({ value: `${MARK} three`, labels: {} });
    expect((await client().get(`/versions/${name}`)).json.versions).toHaveLength(1);
  });

  it.each([
    ["several lines", `${MARK}\n-----BEGIN KEY-----\r\nabc\n`],
    ["any characters", `${MARK} ümläut 🔑 \u0000 "quotes" \\ \u2028`],
    ["JSON", JSON.stringify({ [MARK]: [1, null, 2 ** 60] })],
    ["one character", "x"],
    ["64 KiB", `${MARK}${"é".repeat((65_536 - MARK.length - 1) / 2)}x`],
  ])("keeps %s as they are", async (_what, value) => {
    const name = `${folder()}/a`;

    expect((await client().create(name, value)).status).toBe(201);

    expect((await client().get(`/secret/${name}`)).json.value).toBe(value);
  });

  it.each(["A", "a.b_c-d", "a/b/c/d/e/f", "_", "-", "...", "a__2Fb", "a_/b", "__5F", "UPPER/lower", "x".repeat(200)])(
    "has its own secret under the name %s",
    async (part) => {
      const name = part.length > 100 ? part : `${folder()}/${part}`;

      expect((await client().create(name, `${MARK} ${part}`)).status).toBe(201);

      expect((await client().get(`/secret/${name}`)).json.value).toBe(`${MARK} ${part}`);
      expect((await client().get(`/exists/${name.toLowerCase()}`)).json.exists).toBe(name === name.toLowerCase());
      if (part.length < 100) {
        const { secrets } = (await client().get(`/list/${folder()}`)).json;
        expect(secrets.map((secret: { name: string }) => secret.name)).toEqual([name]);
      }
    },
  );
}
