import { expect, it } from "@jest/globals";
import type { Current } from "../contract.ts";

export function audit(current: Current): void {
  it("writes a line per statement, under the trace id, without text and parameters", async () => {
    const { sql } = current;

    await sql.post(
      "/query",
      { sql: "/* why */ INSERT INTO people (id, name) VALUES ($1, $2) RETURNING id", params: [77123, "hush-hush"] },
      { headers: { "X-Trace-Id": "trace-1" } },
    );

    const lines = sql.lines();
    expect(lines).toEqual([
      expect.objectContaining({
        level: "info",
        msg: "statement",
        service: "sql",
        trace_id: "trace-1",
        endpoint: "query",
        kind: "INSERT",
        table: "people",
        ms: expect.any(Number),
        rows: 1,
      }),
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/77123|hush|why|RETURNING/);
  });

  it("writes the line of a stream when its last row has left", async () => {
    const { sql } = current;
    const headers = { Accept: "application/x-ndjson" };

    await sql.post("/query", { sql: "SELECT 1 AS a UNION ALL SELECT 2" }, { headers });
    await sql.post("/query", { sql: "SELECT * FROM nowhere" }, { headers });

    expect(sql.lines()).toMatchObject([
      { endpoint: "query", rows: 2 },
      { endpoint: "query", code: "SQL_ERROR" },
    ]);
  });

  it("writes a line for a statement that failed, with its code", async () => {
    const { sql } = current;

    await sql.query("SELECT * FROM nowhere");

    expect(sql.lines()).toMatchObject([{ kind: "SELECT", table: "nowhere", code: "SQL_ERROR" }]);
  });

  it("writes a line for each statement of a batch and of a script", async () => {
    const { sql } = current;

    await sql.batch("DELETE FROM pets", 'UPDATE "people" SET age = 1');
    await sql.script("sql.query('SELECT 1 AS a'); sql.execute('DELETE FROM accounts'); return 1");

    expect(sql.lines()).toMatchObject([
      { endpoint: "batch", kind: "DELETE", table: "pets" },
      { endpoint: "batch", kind: "UPDATE", table: "people" },
      { endpoint: "script", kind: "SELECT", rows: 1 },
      { endpoint: "script", kind: "DELETE", table: "accounts", rows: 0 },
    ]);
  });

  it("warns of what changes the schema", async () => {
    const { sql } = current;

    await sql.run("CREATE TABLE gone (a INTEGER)");
    await sql.run("ALTER TABLE gone ADD COLUMN b INTEGER");
    await sql.run("DROP TABLE gone");

    expect(sql.lines()).toMatchObject([
      { level: "info", kind: "CREATE", table: "gone" },
      { level: "warn", kind: "ALTER", table: "gone" },
      { level: "warn", kind: "DROP", table: "gone" },
    ]);
  });
}
