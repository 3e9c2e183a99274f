/** Postgres over TLS: what is encrypted, and whose certificate is believed. */

import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, it } from "@jest/globals";
import { temporaryFolder, until } from "@mikcar/devkit";
import { LOCALHOST, type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import pg from "pg";
import { type Client, startSql } from "./client.ts";

const folder = temporaryFolder();
const authority = `${folder.path}/authority.pem`;

let secure: PostgresServer;
let plain: PostgresServer;
let sql: Client;
beforeAll(async () => {
  writeFileSync(authority, LOCALHOST.authority);
  secure = await startPostgres({ tls: LOCALHOST });
  plain = await startPostgres();
}, 60_000);
afterEach(() => sql.server.close());
afterAll(async () => {
  await secure.remove();
  await plain.remove();
  folder.remove();
});

async function start({ url }: PostgresServer, host: string, parameters: string): Promise<Client> {
  sql = await startSql(`${url.replace("127.0.0.1", host)}?${parameters}`);
  return sql;
}

const IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

it.each([
  ["127.0.0.1", "sslmode=disable", false],
  ["127.0.0.1", "sslmode=prefer", true],
  ["127.0.0.1", "sslmode=require", true],
  ["127.0.0.1", `sslmode=verify-ca&sslrootcert=${authority}`, true],
  ["localhost", `sslmode=verify-full&sslrootcert=${authority}`, true],
])("talks to %s with %s", async (host, parameters, ssl) => {
  await start(secure, host, parameters);

  expect(await sql.rows(IS_ENCRYPTED)).toEqual([{ ssl }]);
});

it.each([
  ["an authority that nobody knows", "localhost", "sslmode=verify-full"],
  ["an authority that nobody knows, whatever the name", "127.0.0.1", "sslmode=verify-ca"],
  ["another name", "127.0.0.1", `sslmode=verify-full&sslrootcert=${authority}`],
])("does not believe %s", async (_what, host, parameters) => {
  await start(secure, host, parameters);

  expect((await sql.query("SELECT 1")).status).toBe(503);
});

it("does without where TLS is only preferred, and does not where it is required", async () => {
  await start(plain, "127.0.0.1", "sslmode=prefer");
  const answers = await Promise.all(Array.from({ length: 20 }, () => sql.rows(IS_ENCRYPTED)));
  expect(answers).toEqual(answers.map(() => [{ ssl: false }]));
  await sql.server.close();

  await start(plain, "127.0.0.1", "sslmode=require");
  expect((await sql.query("SELECT 1")).status).toBe(503);
});

it("cancels over TLS as well", async () => {
  await start(secure, "127.0.0.1", "sslmode=require");
  const observer = new pg.Client(secure.url);
  await observer.connect();

  const { status } = await sql.query("SELECT pg_sleep(1000)", [], { timeout_ms: 200 });

  expect(status).toBe(408);
  const running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
  await until("nothing runs", async () => (await observer.query(running)).rows.length === 0);
  await observer.end();
});
