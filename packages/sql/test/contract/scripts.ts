import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { failure, sqlFailure } from "../client.ts";
import type { Current } from "../contract.ts";

const INSERT = `sql.execute("INSERT INTO people (id, name) VALUES ($1, $2)", [1, "Ada"]);`;

export function scripts(current: Current): void {
  it.each([
    ["a function", "export default function (input) { return input.a + 1 }"],
    ["an async function", "export default async function (input) { return (await input).a + 1 }"],
    ["an arrow", "export default (input) => input.a + 1"],
    ["an async arrow", "export default async ({ a }) => a + 1"],
    ["code that returns", "const b = input.a; return b + 1"],
    ["code that awaits", "const b = await input.a; return b + 1"],
    ["an expression", "input.a + 1"],
  ])("runs %s", async (_what, script) => {
    const { status, json } = await current.sql.script(script, { a: 1 });

    expect([status, json]).toEqual([200, { result: 2, queries_executed: 0 }]);
  });

  it("gives rows and counts, with and without await", async () => {
    const { json } = await current.sql.script(`
      const inserted = await sql.execute("INSERT INTO people (id, name) VALUES ($1, $2), (2, 'Bo')", [1, "Ada"]);
      const rows = sql.query("SELECT id, name FROM people ORDER BY id");
      return { inserted, rows, again: await sql.query("SELECT COUNT(*) AS n FROM people") };
    `);

    expect(json).toEqual({
      result: {
        inserted: 2,
        rows: [
          { id: 1, name: "Ada" },
          { id: 2, name: "Bo" },
        ],
        again: [{ n: 2 }],
      },
      queries_executed: 3,
    });
  });

  it("keeps every digit of a big integer, as a BigInt", async () => {
    const { sql } = current;

    const { text } = await sql.script(`
      sql.execute("INSERT INTO accounts VALUES ($1, $2)", [1, 9007199254740993n]);
      const [{ balance }] = sql.query("SELECT balance FROM accounts");
      return { balance, type: typeof balance, more: balance + 1n };
    `);

    expect(text).toContain('{"balance":9007199254740993,"type":"bigint","more":9007199254740994}');
  });

  it("commits at its normal end only", async () => {
    const { sql } = current;

    await sql.script(`${INSERT} return 1`);

    expect(await sql.rows("SELECT name FROM people")).toEqual([{ name: "Ada" }]);
  });

  it("rolls back when it throws, and answers with its message and line", async () => {
    const { sql } = current;

    const { status, json } = await sql.script(`${INSERT}\n\nthrow new Error("not today")`);

    expect([status, json]).toEqual([422, failure(422, "SCRIPT_ERROR", expect.objectContaining({ line: 3 }))]);
    expect(json.error).toBe("not today");
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it("rolls back when a statement fails, and answers with its code and the script's line", async () => {
    const { sql } = current;

    const { status, json } = await sql.script(`${INSERT}\n${INSERT}`);

    expect([status, json]).toEqual([409, sqlFailure(409, "23505", { line: 2 })]);
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it("rolls back when a statement fails and the script goes on as if nothing were", async () => {
    const { sql } = current;

    const { status, json } = await sql.script(
      `${INSERT} try { sql.execute("INSERT INTO nowhere VALUES (1)") } catch {} return 1`,
    );

    expect([status, json]).toEqual([400, sqlFailure(400, "42P01")]);
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it("tells the script what the database said", async () => {
    const { json } = await current.sql.script(
      `try { sql.query("SELECT * FROM nowhere") } catch (error) { throw new Error("caught: " + error.message) }`,
    );

    expect(json).toMatchObject({ status: 422, error: expect.stringMatching(/^caught: .*nowhere/) });
  });

  it.each(["COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT a", "END", "/**/commit"])("refuses %s inside", async (text) => {
    const { sql } = current;

    const { status, json } = await sql.script(`${INSERT} try { sql.execute("${text}") } catch {} return 1`);

    expect([status, json]).toEqual([400, sqlFailure(400, "0A000")]);
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it.each(["serializable", "repeatable read", "read committed"])("takes the isolation %s", async (isolation) => {
    const { status } = await current.sql.script(`${INSERT} return 1`, null, { isolation });

    expect(status).toBe(200);
  });

  it("writes console lines to the log, under the trace id", async () => {
    const { sql } = current;

    await sql.post(
      "/script",
      { script: 'console.log("a", 1, { b: 2 }); console.warn("careful")' },
      { headers: { "X-Trace-Id": "t-2" } },
    );

    expect(sql.lines()).toMatchObject([
      { level: "info", trace_id: "t-2", script: 'a 1 {"b":2}' },
      { level: "warn", trace_id: "t-2", script: "careful" },
    ]);
  });

  it("stops a script that runs more statements than it may", async () => {
    const { sql } = current;

    const { status, json } = await sql.script(`${INSERT} for (;;) sql.query("SELECT 1 AS a")`);

    expect([status, json.code]).toEqual([422, "SCRIPT_ERROR"]);
    expect(json.error).toContain("1000");
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it("keeps what a script has not committed from all others", async () => {
    const { sql } = current;
    const slow = sql.script(`${INSERT} const end = Date.now() + 500; while (Date.now() < end); return 1`);
    let isOver = false;
    void slow.then(() => (isOver = true));
    await until("the script has inserted", () => sql.lines().some(({ kind }) => kind === "INSERT"));

    const during = await sql.rows("SELECT * FROM people");

    expect([isOver, during]).toEqual([false, []]);
    await slow;
    expect(await sql.rows("SELECT name FROM people")).toEqual([{ name: "Ada" }]);
  });

  it.each([
    ["loops", "for (;;);", "SCRIPT_TIMEOUT"],
    ["fills its memory", "const all = []; for (;;) all.push(new Array(1000).fill({}))", "SCRIPT_MEMORY"],
    ["recurses without end", "const deeper = () => deeper(); deeper()", "SCRIPT_MEMORY"],
  ])("leaves no transaction open behind a script that %s in the midst of one", async (_what, hostile, code) => {
    const { sql, harness } = current;

    const { status, json } = await sql.script(`${INSERT} ${hostile}`);

    expect([status, json.code]).toEqual([422, code]);
    await until("the database is idle", async () => !(await harness.isBusy()));
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
    expect((await sql.script(`${INSERT} return 1`)).status).toBe(200);
  });

  it("stops a script whose caller leaves, and rolls it back", async () => {
    const { sql, harness } = current;
    const leaving = new AbortController();
    const script = `${INSERT} sql.query(${JSON.stringify(harness.endless)})`;
    const call = sql.post("/script", { script }, { signal: leaving.signal }).catch(() => undefined);
    await until("the query runs", () => harness.isBusy());

    leaving.abort();

    await call;
    await until("the database is idle", async () => !(await harness.isBusy()));
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
    expect(await sql.run("INSERT INTO people (id, name) VALUES (1, 'Bo')")).toBe(1);
  });

  it("stops a script whose time is up in a statement", async () => {
    const { sql, harness } = current;

    const { status, json } = await sql.script(`${INSERT} sql.query(${JSON.stringify(harness.endless)})`);

    expect([status, json.code]).toEqual([422, "SCRIPT_TIMEOUT"]);
    await until("the database is idle", async () => !(await harness.isBusy()));
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });
}
