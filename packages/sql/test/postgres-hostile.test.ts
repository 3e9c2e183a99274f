/** What callers and servers may do to the Postgres backend without harm to anybody else. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import pg from "pg";
import { type Client, sqlFailure, startSql } from "./client.ts";

const NDJSON = { headers: { Accept: "application/x-ndjson" } };

let server: PostgresServer;
let url: string;
let other: pg.Client;
let sql: Client;
beforeAll(async () => {
  server = await startPostgres();
}, 60_000);
beforeEach(async () => {
  url = await server.freshUrl();
  other = new pg.Client(url);
  await other.connect();
  await other.query("CREATE TABLE acc (id INTEGER PRIMARY KEY, b INTEGER)");
  await other.query("INSERT INTO acc VALUES (1, 10)");
});
afterEach(async () => {
  await sql.server.close();
  await other.end();
});
afterAll(() => server.remove());

async function start(pool: number, more = ""): Promise<void> {
  sql = await startSql(`${url}?pool=${pool}${more}`);
}

const balance = async (): Promise<unknown> => (await other.query("SELECT b FROM acc")).rows[0].b;
const backend = async (): Promise<unknown> =>
  ((await sql.rows("SELECT pg_backend_pid() AS pid")) as [{ pid: number }])[0].pid;

const sleepers = async (): Promise<number> =>
  (await other.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")).rows
    .length;

describe("an answer", () => {
  // It takes gigabytes for a moment.
  const inLongRuns = process.env["MIKCAR_TEST_LONG"] === "1" ? it : undefined;
  inLongRuns?.(
    "with a value longer than a string can be is 413, and the next call works",
    async () => {
      await start(2);

      const { status, json } = await sql.query("SELECT repeat('x', 600000000) AS x");

      expect([status, json.code]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
      expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    },
    60_000,
  );

  it("that speaks of more parameters than can be counted is an error, and the next call works", async () => {
    await start(2);
    const many = Array.from({ length: 65_535 }, (_, at) => `$${at + 1}::int`).join();

    const { status } = await sql.query(`SELECT cardinality(ARRAY[${many}]) AS n`);

    expect(status).toBeGreaterThanOrEqual(400);
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("to as many parameters as are allowed is right", async () => {
    await start(2);
    const params = Array.from({ length: 32_766 }, (_, at) => at);
    const many = params.map((at) => `$${at + 1}::int`).join();

    const { json } = await sql.query(`SELECT cardinality(ARRAY[${many}]) AS n`, params);
    const over = await sql.query("SELECT 1", [...params, 1]);

    expect(json.rows).toEqual([{ n: 32_766 }]);
    expect([over.status, over.json.details[0].field]).toEqual([422, "params"]);
  });

  it.each([
    ["execute", "SELECT repeat('x', 1000) AS x FROM generate_series(1, 200000)"],
    [
      "query",
      "WITH d AS (DELETE FROM acc WHERE false RETURNING 1) SELECT repeat('x', 1000) AS x FROM generate_series(1, 200000)",
    ],
  ])("to %s is not kept in memory beyond the limit", async (route, text) => {
    await start(2);
    const before = process.memoryUsage().rss;

    const { status } = await sql.post(`/${route}`, { sql: text });

    expect(status).toBe(route === "execute" ? 200 : 413);
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(300);
  });
});

describe("a text", () => {
  it.each(["--\rCOMMIT /*\nSELECT 1 -- */", "/* a */--\r\rROLLBACK", "--\rSET application_name = 'leaked'"])(
    "that hides %j behind a carriage return is refused, and nothing is committed",
    async (hidden) => {
      await start(1);
      const update = "UPDATE acc SET b = 77";

      const script = await sql.script(
        `sql.execute("${update}"); try { sql.execute(${JSON.stringify(hidden)}) } catch {} throw new Error("x")`,
      );
      const batch = await sql.batch(update, hidden, "SELECT 1/0");

      expect(script.status).toBe(422);
      expect([batch.status, batch.json]).toEqual([400, sqlFailure(400, "0A000", { statement: 1 })]);
      expect(await balance()).toBe(10);
    },
  );

  it.each([
    "SELECT set_config('client_encoding', 'LATIN1', false)",
    "DO $$ BEGIN SET statement_timeout = 1; END $$",
    "CREATE TABLE pg_temp.acc (id INTEGER, b INTEGER)",
    "SELECT pg_advisory_lock(5)",
    `SELECT ${Array.from({ length: 1100 }, (_, at) => `1 AS a${at}`).join()} INTO TEMP hidden`,
  ])("that changes its connection (%.40s …) takes it along", async (text) => {
    await start(1);
    const first = await backend();

    await sql.post("/execute", { sql: text });

    expect(await backend()).not.toBe(first);
    expect(await sql.rows("SHOW statement_timeout")).toEqual([{ statement_timeout: "1min" }]);
    expect(await sql.rows("SELECT b FROM acc")).toEqual([{ b: 10 }]);
  });

  it("with a function that changes what clients must know takes its connection along", async () => {
    await start(1);
    await other.query(`CREATE FUNCTION sly() RETURNS void LANGUAGE plpgsql AS $$
      BEGIN EXECUTE 'SET client_encoding = ''LATIN1'''; END $$`);
    const first = await backend();

    await sql.post("/execute", { sql: "SELECT sly()" });

    expect(await backend()).not.toBe(first);
    expect(await sql.rows("SELECT length($1) AS n", "é")).toEqual([{ n: 1 }]);
  });

  it("may put off constraints inside a batch", async () => {
    await start(1);
    await other.query("CREATE TABLE late (a INTEGER PRIMARY KEY, b INTEGER REFERENCES late DEFERRABLE)");

    const { status } = await sql.batch(
      "SET CONSTRAINTS ALL DEFERRED",
      "INSERT INTO late VALUES (1, 2)",
      "INSERT INTO late VALUES (2, 1)",
    );

    expect(status).toBe(200);
  });
});

describe("a failure", () => {
  it("of a statement that runs is no reason to run it again", async () => {
    await start(1);
    await other.query("CREATE SEQUENCE tries");
    const text = "SELECT nextval('tries') / $1::int AS n";
    await sql.query(text, [1]);

    expect((await sql.query(text, [0])).json).toEqual(sqlFailure(400, "22012"));

    expect((await other.query("SELECT last_value AS n FROM tries")).rows).toEqual([{ n: "2" }]);
  });

  it("of a procedure that has committed is no reason to call it again", async () => {
    await start(1);
    await other.query(`CREATE PROCEDURE step(d INTEGER) LANGUAGE plpgsql AS $$
      BEGIN UPDATE acc SET b = b + 1; COMMIT; PERFORM 1 / d; END $$`);
    await sql.query("CALL step($1)", [1]);

    await sql.query("CALL step($1)", [0]);

    expect(await balance()).toBe(12);
  });

  it("in a script makes nobody wait for his turn", async () => {
    await start(4);
    const script = "export default ({ d, s }) => sql.query('SELECT pg_sleep($1), 1 / $2::int AS n', [s, d])[0].n";
    await sql.script(script, { d: 1, s: 0 });
    await sql.script(script, { d: 0, s: 0 });

    const both = Promise.all([1, 1].map((d) => sql.script(script, { d, s: 3 })));
    await until("both run side by side", async () => (await sleepers()) === 2);

    expect((await both).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("of a batch leaves its connection in use", async () => {
    await start(1);
    const first = await backend();

    await sql.batch("UPDATE acc SET b = 1", "SELECT 1/0");

    expect(await backend()).toBe(first);
    expect(await balance()).toBe(10);
  });

  it.each(["08006", "57P01", "58030"])("that a caller raises himself as %s is his own", async (state) => {
    await start(1);
    await other.query(`CREATE FUNCTION raise() RETURNS int LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = '${state}'; END $$`);

    const { status, json } = await sql.query("SELECT raise()");

    expect([status, json]).toEqual([400, sqlFailure(400, state)]);
  });

  it("of a wrong number of parameters tells no name of ours", async () => {
    await start(1);

    expect((await sql.query("SELECT $1::int", [])).json.error).toBe(
      "bind message supplies 0 parameters, but the statement requires 1",
    );
  });
});

describe("a batch of many texts", () => {
  const texts = (from: number, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `SELECT ${from + at} AS n`);

  it("works beside those that are known already, and leaves no more with the server than it may", async () => {
    await start(1);
    for (const text of texts(0, 190)) await sql.rows(text);

    const { status } = await sql.batch(...texts(0, 190), ...texts(1000, 200));
    for (const from of [2000, 3000]) await sql.batch(...texts(from, 900));

    expect(status).toBe(200);
    await sql.rows("SELECT 1 AS one");
    const [{ n }] = (await sql.rows("SELECT COUNT(*) AS n FROM pg_prepared_statements")) as [{ n: number }];
    expect(n).toBeLessThanOrEqual(202);
  });
});

describe("a stream", () => {
  it("shows a table as it is, also when another program has changed it", async () => {
    await start(1);
    await other.query("CREATE TABLE st (a INTEGER, b INTEGER)");
    await other.query("INSERT INTO st VALUES (1, 2)");
    const stream = { sql: "SELECT * FROM st" };
    await sql.post("/query", stream, NDJSON);
    await other.query("ALTER TABLE st DROP COLUMN a");
    await other.query("ALTER TABLE st ADD COLUMN c TEXT DEFAULT 'new'");

    expect((await sql.post("/query", stream, NDJSON)).text).toBe('{"b":2,"c":"new"}\n');
  });

  it("costs nothing when its reader leaves, however often", async () => {
    await start(2, "&connect_timeout=2");
    const body = JSON.stringify({ sql: "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 300000) i" });

    for (let leave = 0; leave < 15; leave++) {
      const leaving = new AbortController();
      const response = await fetch(`${sql.server.url}/sql/query`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...NDJSON.headers },
        body,
        signal: leaving.signal,
      });
      await response.body?.getReader().read();
      leaving.abort();
    }

    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("that is not read leaves connections to others", async () => {
    await start(2, "&connect_timeout=1");
    const leaving = new AbortController();
    const stalled = Array.from({ length: 3 }, () =>
      fetch(`${sql.server.url}/sql/query`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...NDJSON.headers },
        body: JSON.stringify({ sql: "SELECT repeat('x', 1000) AS x FROM generate_series(1, 300000)" }),
        signal: leaving.signal,
      }).catch(() => undefined),
    );
    await stalled[0];

    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    leaving.abort();
    await Promise.all(stalled);
  });
});

describe("time", () => {
  it("counts while a connection is waited for", async () => {
    await start(1);
    const leaving = new AbortController();
    const busy = sql
      .post("/query", { sql: "SELECT pg_sleep(1000)" }, { signal: leaving.signal })
      .catch(() => undefined);
    await until("it is busy", async () => (await sleepers()) > 0);

    const { status, json } = await sql.query("SELECT 1", [], { timeout_ms: 200 });
    const ready = await fetch(`${sql.server.url}/ready`);

    expect([status, json.code, ready.status]).toEqual([408, "TIMEOUT", 200]);
    leaving.abort();
    await busy;
  });

  it("ends a call on a server that does not react any more", async () => {
    await start(1);
    const pid = Number(await backend());
    const call = sql.query("SELECT pg_sleep(1000)", [], { timeout_ms: 300 });
    await until("it runs", async () => (await sleepers()) > 0);

    await server.freeze(pid);
    const { status } = await call;
    await server.thaw(pid);

    expect(status).toBe(408);
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });
});
