/** What is peculiar to Postgres: its connections, its plans, its end and its return. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { startProgram, until } from "@mikcar/devkit";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { readUrl } from "../src/backends/postgres/url.ts";
import { type Client, sqlFailure, startSql } from "./client.ts";

let server: PostgresServer;
let url: string;
let other: pg.Client;
const clients: Client[] = [];
beforeAll(async () => {
  server = await startPostgres();
  url = await server.freshUrl();
  other = new pg.Client(url);
  await other.connect();
}, 60_000);
afterEach(async () => {
  for (const { server: http } of clients.splice(0)) await http.close();
});
afterAll(async () => {
  await other.end();
  await server.remove();
});

async function start(more = ""): Promise<Client> {
  const sql = await startSql(url + more);
  clients.push(sql);
  return sql;
}

describe("plans", () => {
  it("are made anew when another program changes the table under them", async () => {
    const sql = await start("?pool=1");
    await other.query("CREATE TABLE changing (a INTEGER)");
    await sql.run("INSERT INTO changing VALUES ($1)", 1);
    expect(await sql.rows("SELECT * FROM changing")).toEqual([{ a: 1 }]);

    await other.query("ALTER TABLE changing ADD COLUMN b TEXT DEFAULT 'x'");
    expect(await sql.rows("SELECT * FROM changing")).toEqual([{ a: 1, b: "x" }]);

    await other.query("DROP TABLE changing");
    await other.query("CREATE TABLE changing (a TEXT)");
    expect(await sql.run("INSERT INTO changing VALUES ($1)", "now text")).toBe(1);
    const batch = await sql.batch(["INSERT INTO changing VALUES ($1)", "more"]);
    expect(batch.status).toBe(200);
  });

  it("are made anew inside a script as well", async () => {
    const sql = await start("?pool=1");
    await other.query("CREATE TABLE moving (a INTEGER)");
    const script = 'return sql.query("SELECT * FROM moving")';
    await sql.script(script);

    await other.query("ALTER TABLE moving ADD COLUMN b INTEGER");
    await other.query("INSERT INTO moving VALUES (1, 2)");

    expect((await sql.script(script)).json.result).toEqual([{ a: 1, b: 2 }]);
  });

  it("are bounded: the server keeps some two hundred for a connection", async () => {
    const sql = await start("?pool=1");
    for (let at = 0; at < 300; at++) await sql.rows(`SELECT ${at} AS n`);

    const [{ n }] = (await sql.rows("SELECT COUNT(*) AS n FROM pg_prepared_statements")) as [{ n: number }];

    expect(n).toBeGreaterThan(150);
    expect(n).toBeLessThanOrEqual(201);
  });
});

describe("connections", () => {
  it("are used by many callers at once, never by two", async () => {
    const sql = await start("?pool=3");

    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => sql.rows("SELECT $1::int AS n", at)));

    expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => [{ n }]));
  });

  it("carry nothing from one call to the next", async () => {
    const sql = await start("?pool=1");

    const { status, json } = await sql.query("SET search_path = pg_catalog");
    await sql.batch("SET LOCAL lock_timeout = 5", "SELECT 1");
    await sql.script('sql.execute("CREATE TEMP TABLE scratch (a INTEGER)"); return 1');

    expect([status, json]).toEqual([400, sqlFailure(400, "0A000")]);
    expect(await sql.rows("SHOW lock_timeout")).toEqual([{ lock_timeout: "0" }]);
    await sql.batch("CREATE TEMP TABLE scratch (a INTEGER)");
    expect((await sql.query("SELECT * FROM scratch")).json).toEqual(sqlFailure(400, "42P01"));
  });

  it.each(["SET LOCAL lock_timeout = 5", "CREATE TEMP TABLE a (b INTEGER)", "SELECT 1 AS b INTO TEMP a"])(
    "refuse %s where it would mean nothing",
    async (text) => {
      const sql = await start();

      expect((await sql.query(text)).json).toEqual(sqlFailure(400, "0A000"));
    },
  );

  it("come back after the server has been away, with 503 meanwhile", async () => {
    const sql = await start();
    await sql.rows("SELECT 1 AS a");
    await other.end();

    await server.stop();
    const away = await sql.query("SELECT 1 AS a");
    const ready = await fetch(`${sql.server.url}/ready`);
    await server.start();
    other = new pg.Client(url);
    await other.connect();

    expect([away.status, away.json.code, away.headers["retry-after"]]).toEqual([503, "UNAVAILABLE", "1"]);
    expect(away.text).not.toMatch(/127\.0\.0\.1|ECONN|postgres:/);
    expect(ready.status).toBe(503);
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  }, 30_000);

  it("answer 503 when the server ends them in the middle of a statement", async () => {
    const sql = await start();
    const call = sql.query("SELECT pg_sleep(1000)");
    const running = async (): Promise<pg.QueryResult> =>
      other.query("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'");
    await until("it runs", async () => (await running()).rows.length > 0);

    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'");

    expect((await call).status).toBe(503);
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("answer 503 when none is free in time", async () => {
    const sql = await start("?pool=1&connect_timeout=1");
    const leaving = new AbortController();
    const busy = sql
      .post("/query", { sql: "SELECT pg_sleep(1000)" }, { signal: leaving.signal })
      .catch(() => undefined);

    const { status } = await sql.query("SELECT 1");

    expect(status).toBe(503);
    leaving.abort();
    await busy;
  });

  it("may log in wrongly: 503, and the password is told nowhere", async () => {
    const wrong = new URL(url);
    wrong.password = "wrong-and-secret";
    const sql = await startSql(wrong.href);
    clients.push(sql);

    const { status, text } = await sql.query("SELECT 1");

    expect(status).toBe(503);
    expect(text + JSON.stringify(sql.lines())).not.toContain("wrong-and-secret");
  });
});

it("starts while the database is down, and works when it is up", async () => {
  const sql = await startSql("postgres://nobody@127.0.0.1:1/nothing");
  clients.push(sql);

  expect((await sql.query("SELECT 1")).status).toBe(503);
});

it("leaves nothing running on the server when it is killed", async () => {
  const program = await startProgram(fileURLToPath(new URL("../dist/bin.js", import.meta.url)), {
    args: ["--port", "0"],
    env: { DATABASE_URL: `${url}?application_name=killed&statement_timeout_ms=500` },
  });
  const call = fetch(`${program.url}/sql/query`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sql: "SELECT pg_sleep(1000)" }),
  }).catch(() => undefined);
  const sessions = async (): Promise<number> =>
    (await other.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'killed'")).rows.length;
  await until("it runs", async () => (await sessions()) > 0);

  await program.stop("SIGKILL");

  await call;
  await until("its session is over", async () => (await sessions()) === 0);
});

it("ends a statement by the server's own clock as well", async () => {
  const sql = await start("?statement_timeout_ms=100");

  const { status, json } = await sql.query("SELECT pg_sleep(1000)");

  expect([status, json]).toEqual([408, sqlFailure(408, "57014")]);
});

it("fails a batch at its COMMIT when a deferred constraint does not hold", async () => {
  const sql = await start();
  await sql.run("CREATE TABLE late (a INTEGER PRIMARY KEY, b INTEGER REFERENCES late DEFERRABLE INITIALLY DEFERRED)");

  const { status, json } = await sql.batch("INSERT INTO late VALUES (1, 1)", "INSERT INTO late VALUES (2, 99)");

  expect([status, json.details.sqlstate, json.details.statement]).toEqual([409, "23503", undefined]);
  expect(await sql.rows("SELECT * FROM late")).toEqual([]);
});

it("keeps transfers exact over two sidecars on one database", async () => {
  const sidecars = [await start(), await start()];
  const [one] = sidecars as [Client];
  await one.run("CREATE TABLE shared_accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)");
  await one.run("INSERT INTO shared_accounts VALUES (1, 50), (2, 50)");
  const script = `export default ({ from, to }) => {
    const [{ balance }] = sql.query("SELECT balance FROM shared_accounts WHERE id = $1", [from]);
    if (balance < 1) throw new Error("insufficient funds");
    sql.execute("UPDATE shared_accounts SET balance = $1 WHERE id = $2", [balance - 1, from]);
    sql.execute("UPDATE shared_accounts SET balance = balance + 1 WHERE id = $1", [to]);
  }`;

  const answers = await Promise.all(
    Array.from({ length: 80 }, (_, at) =>
      (sidecars[at % 2] as Client).script(script, { from: (at % 2) + 1, to: 2 - (at % 2) }),
    ),
  );

  expect(answers.filter(({ status, json }) => status !== 200 && json.error !== "insufficient funds")).toEqual([]);
  expect(await one.rows("SELECT SUM(balance) AS total FROM shared_accounts")).toEqual([{ total: 100 }]);
});

describe("its URL", () => {
  it.each([
    ["sslmode=maybe", /"sslmode" is "maybe"; known: disable, prefer, require, verify-ca, verify-full/],
    ["pool=0", /"pool" is "0"; expected an integer from 1/],
    ["sslrootcert=/nowhere", /"sslrootcert": the file "\/nowhere" cannot be read/],
    ["channel_binding=x", /"channel_binding" is "x"/],
  ])("says what is wrong with %s", (query, sentence) => {
    expect(() => readUrl(configUrl(`postgres://host/db?${query}`))).toThrow(sentence);
  });

  it.each([
    ["postgres://db.example.com/a", { host: "db.example.com", port: 5432, database: "a" }, true],
    ["postgres://u:p%40:x@db:6543/a?sslmode=require", { user: "u", password: "p@:x", port: 6543 }, false],
    ["postgres://localhost/a", { ssl: false }, false],
    ["postgres:///a?host=/run/postgresql", { host: "/run/postgresql", ssl: false }, false],
    ["postgres://db/a?sslmode=verify-full", { ssl: { rejectUnauthorized: true } }, false],
    ["postgres://[::1]:5433/a", { host: "::1", port: 5433 }, false],
  ])("reads %s", (text, pool, isTlsOptional) => {
    expect(readUrl(configUrl(text))).toMatchObject({ pool, isTlsOptional });
  });
});
