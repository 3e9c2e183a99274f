import { expect, it } from "@jest/globals";
import { sqlFailure } from "../client.ts";
import type { Current } from "../contract.ts";

export function statements(current: Current): void {
  it("gives rows, their number and their columns", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO people (id, name, age) VALUES (1, 'Ada', 36), (2, 'Bo', NULL)");

    const { status, json } = await sql.query("SELECT id, name, age FROM people ORDER BY id");

    expect(status).toBe(200);
    expect(json).toEqual({
      rows: [
        { id: 1, name: "Ada", age: 36 },
        { id: 2, name: "Bo", age: null },
      ],
      row_count: 2,
      columns: [
        { name: "id", type: expect.stringMatching(/int/) },
        { name: "name", type: "text" },
        { name: "age", type: expect.stringMatching(/int/) },
      ],
    });
  });

  it("gives the columns of a query without rows", async () => {
    const { json } = await current.sql.query("SELECT id, name FROM people");

    expect(json.rows).toEqual([]);
    expect(json.columns.map((column: { name: string }) => column.name)).toEqual(["id", "name"]);
  });

  it("runs INSERT … RETURNING through query", async () => {
    const { json } = await current.sql.query("INSERT INTO people (id, name) VALUES ($1, $2) RETURNING id, name", [
      7,
      "Cy",
    ]);

    expect(json).toMatchObject({ rows: [{ id: 7, name: "Cy" }], row_count: 1 });
    expect(await current.sql.rows("SELECT name FROM people")).toEqual([{ name: "Cy" }]);
  });

  it("runs a statement without rows through query", async () => {
    const { json } = await current.sql.query("DELETE FROM people");

    expect(json).toMatchObject({ rows: [], row_count: 0 });
  });

  it("counts the rows that execute changes", async () => {
    const { sql } = current;

    expect(await sql.run("INSERT INTO people (id, name) VALUES (1, 'a'), (2, 'b')")).toBe(2);
    expect(await sql.run("UPDATE people SET age = 1")).toBe(2);
    expect(await sql.run("DELETE FROM people WHERE id = $1", 2)).toBe(1);
    expect(await sql.run("DELETE FROM people WHERE id = $1", 2)).toBe(0);
    expect(await sql.run("CREATE TABLE short_lived (a INTEGER)")).toBe(0);
    expect(await sql.run("DROP TABLE short_lived")).toBe(0);
  });

  it("keeps the later of two columns of one name, and shows both", async () => {
    const { json } = await current.sql.query("SELECT 1 AS a, 2 AS b, 3 AS a");

    expect(json.rows).toEqual([{ a: 3, b: 2 }]);
    expect(json.columns.map((column: { name: string }) => column.name)).toEqual(["a", "b", "a"]);
  });

  it.each(["__proto__", "constructor", 'quo"te', "emoji 🎈", "a.b"])("names a column %s", async (name) => {
    const { text } = await current.sql.query(`SELECT 1 AS "${name.replaceAll('"', '""')}"`);

    expect(text).toContain(`{${JSON.stringify(name)}:1}`);
  });

  it("takes placeholders in any order, and more than once", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO people (name, id) VALUES ($2, $1)", 1, "one");

    expect(await sql.rows("SELECT name FROM people WHERE name = $1 OR name = $1", "one")).toEqual([{ name: "one" }]);
  });

  it("sees no placeholder in strings, names and comments", async () => {
    const rows = await current.sql.rows(`SELECT '$1' AS a, 'it''s $2' AS "$3" /* $4 */ -- $5`);

    expect(rows).toEqual([{ a: "$1", $3: "it's $2" }]);
  });

  it("stays right when the same text comes with parameters of another type", async () => {
    const { sql } = current;
    await sql.run("CREATE TABLE notes (id BIGINT, note TEXT)");
    for (const value of [10, 10.5, "x", true, null, "11"]) await sql.run("INSERT INTO notes VALUES (1, $1)", value);

    const notes = (await sql.rows("SELECT note FROM notes")).map((row) => (row as { note: string | null }).note);

    expect(notes.filter((note) => note !== "true" && note !== "1")).toEqual(["10", "10.5", "x", null, "11"]);
    await sql.run("DROP TABLE notes");
  });

  it("stays right when the table of the same text is made anew with other types", async () => {
    const { sql } = current;
    await sql.run("CREATE TABLE shape (a INTEGER)");
    await sql.query("INSERT INTO shape VALUES ($1) RETURNING *", [1]);
    await sql.run("DROP TABLE shape");
    await sql.run("CREATE TABLE shape (b TEXT)");

    const { json } = await sql.query("INSERT INTO shape VALUES ($1) RETURNING *", ["x"]);

    expect(json.rows).toEqual([{ b: "x" }]);
    await sql.run("DROP TABLE shape");
  });

  it("keeps each failed statement to itself, however many run at once", async () => {
    const { sql } = current;

    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        sql.post("/execute", {
          sql: "INSERT INTO people (id, name) VALUES ($1, $2)",
          params: [at % 40, `n${at % 40}`],
        }),
      ),
    );

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(40);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(20);
    expect(await sql.rows("SELECT COUNT(*) AS n FROM people")).toEqual([{ n: 40 }]);
  });

  const faults: [what: string, sql: string, params: unknown[], status: number, sqlstate: string][] = [
    ["a syntax error", "SELEC 1", [], 400, "42601"],
    ["a text without a statement", " -- nothing", [], 400, "42601"],
    ["an unknown table", "SELECT * FROM nowhere", [], 400, "42P01"],
    ["an unknown column", "SELECT missing FROM people", [], 400, "42703"],
    ["a table that is there", "CREATE TABLE people (id BIGINT)", [], 400, "42P07"],
    ["a second statement", "SELECT 1; SELECT 2", [], 400, "42601"],
    ["a second statement that changes", "DELETE FROM pets; DELETE FROM people", [], 400, "42601"],
    ["too few parameters", "SELECT * FROM people WHERE id = $1", [], 400, "08P01"],
    ["too many parameters", "SELECT * FROM people WHERE id = $1", [1, 2], 400, "08P01"],
    ["a key that is taken", "INSERT INTO people (id, name) VALUES (1, 'other')", [], 409, "23505"],
    ["a name that is taken", "INSERT INTO people (id, name) VALUES (2, 'Ada')", [], 409, "23505"],
    ["an owner that is not there", "INSERT INTO pets (id, owner) VALUES (1, 99)", [], 409, "23503"],
    ["a check that does not hold", "INSERT INTO people (id, name, age) VALUES (3, 'x', -1)", [], 409, "23514"],
    ["a null where none may be", "INSERT INTO people (id, name) VALUES (4, NULL)", [], 400, "23502"],
  ];
  it.each(faults)(
    "answers %s with the database's message and its code",
    async (_what, text, params, status, sqlstate) => {
      const { sql } = current;
      await sql.run("INSERT INTO people (id, name) VALUES (1, 'Ada')");

      const query = await sql.query(text, params);
      const execute = await sql.post("/execute", { sql: text, params });

      expect([query.status, query.json]).toEqual([status, sqlFailure(status, sqlstate)]);
      expect([execute.status, execute.json]).toEqual([status, sqlFailure(status, sqlstate)]);
      expect(await sql.rows("SELECT name FROM people")).toEqual([{ name: "Ada" }]);
    },
  );

  it("takes a trailing semicolon and comments around a statement", async () => {
    expect(await current.sql.rows("-- first\n/* second */ SELECT 1 AS a ; -- third\n")).toEqual([{ a: 1 }]);
  });
}
