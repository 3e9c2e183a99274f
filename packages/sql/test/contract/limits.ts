import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { failure } from "../client.ts";
import type { Current } from "../contract.ts";

const MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n";
const NDJSON = { headers: { Accept: "application/x-ndjson" } };

export function limits(current: Current): void {
  it("cancels a statement when its time is up, and goes on", async () => {
    const { sql, harness } = current;

    const { status, json } = await sql.query(harness.endless, [], { timeout_ms: 200 });

    expect([status, json]).toMatchObject([408, { code: "TIMEOUT" }]);
    await until("the database is idle", async () => !(await harness.isBusy()));
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("cancels a statement when its caller leaves", async () => {
    const { sql, harness } = current;
    const leaving = new AbortController();
    const call = sql
      .post("/query", { sql: harness.endless }, { signal: leaving.signal })
      .catch((error: Error) => error);
    await until("the query runs", () => harness.isBusy());

    leaving.abort();

    expect(await call).toMatchObject({ name: "AbortError" });
    await until("the database is idle", async () => !(await harness.isBusy()));
  });

  it("lets no long query hold up others", async () => {
    const { sql, harness } = current;
    const leaving = new AbortController();
    const call = sql.post("/query", { sql: harness.endless }, { signal: leaving.signal }).catch(() => undefined);
    await until("the query runs", () => harness.isBusy());

    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, at) => sql.rows("SELECT COUNT(*) + $1 AS n FROM pets", at)),
    );

    expect(answers).toHaveLength(40);
    await sql.run("INSERT INTO accounts VALUES (1, 1)");
    leaving.abort();
    await call;
  });

  it("answers 413 for a row more than max_rows, and never a part", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES (1, 1), (2, 2), (3, 3)");

    const exact = await sql.query("SELECT * FROM accounts", [], { max_rows: 3 });
    const over = await sql.query("SELECT * FROM accounts", [], { max_rows: 2 });

    expect(exact.json.row_count).toBe(3);
    expect([over.status, over.json]).toEqual([413, failure(413, "PAYLOAD_TOO_LARGE", { max_rows: 2 })]);
  });

  it("undoes a change that gives more rows than max_rows", async () => {
    const { sql } = current;
    const insert = "INSERT INTO accounts VALUES (1, 1), (2, 2) RETURNING id";

    const over = await sql.query(insert, [], { max_rows: 1 });
    expect(over.status).toBe(413);
    expect(await sql.rows("SELECT * FROM accounts")).toEqual([]);

    const exact = await sql.query(insert, [], { max_rows: 2 });
    expect(exact.json.rows).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await sql.rows("SELECT COUNT(*) AS n FROM accounts")).toEqual([{ n: 2 }]);
  });

  it("streams one row a line", async () => {
    const { sql } = current;

    const { status, headers, text } = await sql.post("/query", { sql: MANY }, NDJSON);

    expect([status, headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    const lines = text.split("\n");
    expect(lines.pop()).toBe("");
    expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 50_000 }, (_, at) => at + 1));
  });

  it("streams no row as no line", async () => {
    const { status, text } = await current.sql.post("/query", { sql: "SELECT id FROM people" }, NDJSON);

    expect([status, text]).toEqual([200, ""]);
  });

  it("streams the rows of a change, and keeps it", async () => {
    const { sql } = current;

    const { text } = await sql.post(
      "/query",
      { sql: "INSERT INTO accounts VALUES (5, 1) RETURNING id", params: [] },
      NDJSON,
    );

    expect(text).toBe('{"id":5}\n');
    expect(await sql.rows("SELECT id FROM accounts")).toEqual([{ id: 5 }]);
  });

  it("answers a stream that fails at once with its error", async () => {
    const { status, json } = await current.sql.post("/query", { sql: "SELECT * FROM nowhere" }, NDJSON);

    expect([status, json.code]).toEqual([400, "SQL_ERROR"]);
  });

  it("ends a stream whose statement takes longer than timeout_ms for its next rows", async () => {
    const { sql, harness } = current;

    const { status, json } = await sql.post("/query", { sql: harness.endless, timeout_ms: 200 }, NDJSON);

    expect([status, json.code]).toEqual([408, "TIMEOUT"]);
    await until("the database is idle", async () => !(await harness.isBusy()));
  });

  it("stops a stream whose reader leaves", async () => {
    const { sql, harness } = current;
    const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    const leaving = new AbortController();
    const response = await fetch(`${sql.server.url}/sql/query`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...NDJSON.headers },
      body: JSON.stringify({ sql: endless }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();

    leaving.abort();

    await until("the database is idle", async () => !(await harness.isBusy()));
    expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });
}
