/** The variables of a process, for reading: as much of the contract as they can keep. */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { EnvSecrets, open } from "../src/backends/env.ts";
import { type Client, MARK, serve } from "./client.ts";

const VARIABLES = {
  APP_DB_PASSWORD: `${MARK} one`,
  APP_db__password: `${MARK} two`,
  APP_db__user: `${MARK} three`,
  "APP_db-old.key": `${MARK} four`,
  APP_EMPTY: "",
  "APP_not a name": "x",
  APP_: "x",
  APPX: "x",
  OTHER: "x",
};

let client: Client;
beforeAll(async () => {
  client = await serve(new EnvSecrets("APP_", VARIABLES));
});
afterAll(() => client.close());

it("reads them, with two underscores for a /", async () => {
  const { status, json } = await client.get("/secret/db/password");

  const started = json.created_at;
  expect([status, json]).toEqual([
    200,
    { value: `${MARK} two`, version: "env", created_at: started, updated_at: started, labels: {} },
  ]);
  expect(Date.parse(started)).toBeLessThanOrEqual(Date.now());
  expect((await client.get("/secret/DB_PASSWORD")).json.value).toBe(`${MARK} one`);
  expect((await client.get("/secret/db-old.key")).json.value).toBe(`${MARK} four`);
  expect((await client.get("/secret/DB_PASSWORD?version=env")).status).toBe(200);
});

it.each(["db__password", "EMPTY", "OTHER", "X", "absent", "DB_PASSWORD?version=1", "db/PASSWORD"])(
  "has no %s",
  async (name) => {
    expect((await client.get(`/secret/${name}`)).json).toMatchObject({ status: 404, code: "NOT_FOUND" });
  },
);

it("lists those that begin with the prefix", async () => {
  const { json } = await client.get("/list");

  expect(json.secrets.map(({ name }: { name: string }) => name)).toEqual([
    "DB_PASSWORD",
    "db-old.key",
    "db/password",
    "db/user",
  ]);
  expect((await client.get("/list/db?limit=1")).json).toMatchObject({ count: 1, cursor: "db/password" });
  expect((await client.get("/versions/db/user")).json.versions).toEqual([
    { version: "env", created_at: expect.any(String) },
  ]);
  expect((await client.get("/versions/absent")).status).toBe(404);
});

it("refuses to write, and says where one can", async () => {
  const answers = [
    await client.create("new", MARK),
    await client.update("DB_PASSWORD", MARK),
    await client.remove("DB_PASSWORD"),
  ];

  for (const { status, json } of answers) {
    expect([status, json.code, json.error]).toEqual([501, "UNSUPPORTED", expect.stringContaining("SECRETS_URL")]);
  }
  expect(client.said()).not.toContain(MARK);
});

it.each(["env:", "env://", "env://APP_/path"])("does not start on %s", async (url) => {
  await expect(open(configUrl(url))).rejects.toMatchObject({ message: expect.stringContaining("env://APP_") });
});
