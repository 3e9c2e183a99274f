import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parseJson } from "@mikcar/core";
import type { Param } from "../src/backend.ts";
import { call, failureOf, type Opened, openSqlite, rowsOf, sql } from "./sqlite/harness.ts";

let db: Opened;

beforeAll(async () => {
  db = await openSqlite();
});
afterAll(async () => db[Symbol.asyncDispose]());

describe("a parameter", () => {
  const given: readonly (readonly [param: Param, storage: string, json: string])[] = [
    [null, "null", "null"],
    [true, "integer", "1"],
    [false, "integer", "0"],
    [0, "integer", "0"],
    [-0, "integer", "0"],
    [42, "integer", "42"],
    [9_007_199_254_740_993n, "integer", "9007199254740993"],
    [9_223_372_036_854_775_807n, "integer", "9223372036854775807"],
    [-9_223_372_036_854_775_808n, "integer", "-9223372036854775808"],
    [1e18, "integer", "1000000000000000000"],
    [10.5, "real", "10.5"],
    [0.1, "real", "0.1"],
    [1e20, "real", "100000000000000000000"],
    [1.7976931348623157e308, "real", "1.7976931348623157e+308"],
    [5e-324, "real", "5e-324"],
    [Infinity, "real", '"Infinity"'],
    [-Infinity, "real", '"-Infinity"'],
    ["", "text", '""'],
    ['naïve 😀 \u2028 " \\ \n', "text", JSON.stringify('naïve 😀 \u2028 " \\ \n')],
    ["a\0b", "text", String.raw`"a\u0000b"`],
    ["10", "text", '"10"'],
    [[1, "x", null, [2n ** 60n]], "text", String.raw`"[1,\"x\",null,[1152921504606846976]]"`],
    [{ a: { b: -(2n ** 62n) } }, "text", String.raw`"{\"a\":{\"b\":-4611686018427387904}}"`],
  ];
  it.each(given)("%p is %s and comes back as %s", async (param, storage, json) => {
    const { json: rows } = await db.query("SELECT typeof($1) AS t, $1 AS v", [param]);

    expect(rows).toBe(`{"t":"${storage}","v":${json}}`);
  });

  it.each([2n ** 63n, -(2n ** 63n) - 1n, NaN])("%p is refused", async (param) => {
    expect(await failureOf(db.query("SELECT $1", [param]))).toMatchObject({ code: "SQL_ERROR", state: "22003" });
  });

  it("takes the affinity of the column, as a literal would", async () => {
    await db.execute("CREATE TABLE aff (t TEXT, i INTEGER, r REAL, n NUMERIC, b)");

    await db.execute("INSERT INTO aff VALUES (?, ?, ?, ?, ?)", 1, "12", 3, "1.50", 7);

    expect(await db.rows("SELECT t, i, r, typeof(r) AS tr, n, b FROM aff")).toEqual([
      { t: "1", i: 12, r: 3, tr: "real", n: 1.5, b: 7 },
    ]);
  });

  it("may change its type from call to call of one text", async () => {
    const types: unknown[] = [];
    for (const param of [10, 10.5, "x", null, 2n ** 62n])
      types.push((await db.query("SELECT typeof($1)", [param])).json);

    expect(types.map((json) => /:"(\w+)"/.exec(String(json))?.[1])).toEqual([
      "integer",
      "real",
      "text",
      "null",
      "integer",
    ]);
  });
});

describe("a value", () => {
  it("has the form of its storage class, and of what its column is declared as", async () => {
    await db.execute("CREATE TABLE v (i INTEGER, r REAL, t TEXT, x BLOB, f BOOLEAN, j JSON, k JSONB, d DATETIME)");
    await db.execute(
      "INSERT INTO v VALUES (9223372036854775807, 1.0, 'é', x'00ff', 1, '{\"a\":\n[1, 18446744073709551617]}', '[]', '2026-01-02')",
    );
    await db.execute("INSERT INTO v VALUES (NULL, -1e999, '', x'', 0, 'no json', x'01', 5)");
    await db.execute("INSERT INTO v (f, j) VALUES (2, 7), ('yes', '')");

    const { json, columns } = await db.query("SELECT * FROM v");

    expect(`[${json}]`).toBe(
      `[{"i":9223372036854775807,"r":1,"t":"é","x":"AP8=","f":true,"j":{"a": [1, 18446744073709551617]},"k":[],"d":"2026-01-02"},` +
        `{"i":null,"r":"-Infinity","t":"","x":"","f":false,"j":"no json","k":"AQ==","d":5},` +
        `{"i":null,"r":null,"t":null,"x":null,"f":2,"j":7,"k":null,"d":null},` +
        `{"i":null,"r":null,"t":null,"x":null,"f":"yes","j":"","k":null,"d":null}]`,
    );
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "i integer",
      "r real",
      "t text",
      "x blob",
      "f boolean",
      "j json",
      "k jsonb",
      "d datetime",
    ]);
  });

  it("of an expression has the type of the first row", async () => {
    const { columns } = await db.query("SELECT 1 AS a, 1.5 AS b, 'x' AS c, x'00' AS d, NULL AS e");
    const none = await db.query("SELECT 1 + 1 AS a WHERE 0");

    expect(columns.map(({ type }) => type)).toEqual(["integer", "real", "text", "blob", "null"]);
    expect(none).toMatchObject({ columns: [{ name: "a", type: "null" }], json: "", count: 0 });
  });

  it("of two columns with one name: the later stands in the row, both in the columns", async () => {
    const { json, columns } = await db.query("SELECT 1 AS a, 2 AS b, 3 AS a");

    expect(json).toBe('{"b":2,"a":3}');
    expect(columns.map(({ name }) => name)).toEqual(["a", "b", "a"]);
  });

  it("beyond 2^53 is a string when the caller's JSON cannot hold it", async () => {
    const text = "SELECT 9007199254740991 AS a, 9007199254740993 AS b, -9007199254740993 AS c";

    expect((await db.query(text, [], { int64: "string" })).json).toBe(
      '{"a":9007199254740991,"b":"9007199254740993","c":"-9007199254740993"}',
    );
    expect(parseJson((await db.query(text)).json)).toMatchObject({ b: 9_007_199_254_740_993n });
  });

  it("that is no UTF-8 comes with replacement characters", async () => {
    expect(await db.rows("SELECT CAST(x'61ff62' AS TEXT) AS a, CAST(x'eda080' AS TEXT) AS b")).toEqual([
      { a: "a\ufffdb", b: "\ufffd\ufffd\ufffd" },
    ]);
  });

  it("may have any name", async () => {
    expect(await db.rows('SELECT 1 AS "", 2 AS "a""b", 3 AS "__proto__", 4 AS "😀\n"')).toEqual([
      JSON.parse('{"":1,"a\\"b":2,"__proto__":3,"😀\\n":4}'),
    ]);
  });
});

describe("the numbers of a result", () => {
  beforeAll(async () => {
    await db.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, a UNIQUE)");
    await db.execute("CREATE TABLE w (k PRIMARY KEY, a) WITHOUT ROWID");
  });

  it("tell rows changed and the last rowid, if the statement has inserted one", async () => {
    expect(await db.execute("INSERT INTO n VALUES (7, 'a'), (9, 'b')")).toEqual({ affected: 2, lastInsertId: 9n });
    expect(await db.execute("INSERT OR IGNORE INTO n(a) VALUES ('a')")).toEqual({ affected: 0 });
    expect(await db.execute("INSERT INTO n(a) VALUES ('b') ON CONFLICT DO UPDATE SET a = 'c'")).toEqual({
      affected: 1,
    });
    expect(await db.execute("INSERT INTO w VALUES ('k', 1)")).toEqual({ affected: 1 });
    expect(await db.execute("REPLACE INTO n(id, a) VALUES (7, 'z')")).toEqual({ affected: 1, lastInsertId: 7n });
    expect(await db.execute("UPDATE n SET a = a || '!'")).toEqual({ affected: 2 });
    expect(await db.execute("CREATE TABLE other (a)")).toEqual({ affected: 0 });
    expect(await db.execute("SELECT * FROM n")).toEqual({ affected: 2 });
    expect(await db.execute("INSERT INTO n(id, a) VALUES (9223372036854775807, 'q') RETURNING id")).toEqual({
      affected: 1,
      lastInsertId: 9_223_372_036_854_775_807n,
    });
    expect(await db.execute("WITH d AS (SELECT 7 AS id) DELETE FROM n WHERE id IN (SELECT id FROM d)")).toEqual({
      affected: 1,
    });
  });

  it("leave last_insert_rowid() to the caller, within a batch", async () => {
    await db.execute("CREATE TABLE child (parent, tag UNIQUE)");
    const insertParent = sql("INSERT INTO n(id, a) VALUES (500, 'parent')");
    const ignored = sql("INSERT OR IGNORE INTO n(id, a) VALUES (500, 'again')");
    const insertChild = sql("INSERT INTO child VALUES (last_insert_rowid(), 'x')");

    await db.db.batch([insertParent, ignored, insertChild], call());

    expect(await db.rows("SELECT parent FROM child")).toEqual([{ parent: 500 }]);
  });

  it("count what RETURNING gives", async () => {
    const result = await db.query("INSERT INTO n(id, a) VALUES (100, 1), (101, 2) RETURNING id");

    expect(result).toMatchObject({ json: '{"id":100},{"id":101}', count: 2, affected: 2 });
  });
});

describe("a schema that changes", () => {
  it("shows in the columns of a text that was used before", async () => {
    await db.execute("CREATE TABLE ch (a TEXT)");
    await db.execute("INSERT INTO ch VALUES ('1')");
    const before = await db.query("SELECT * FROM ch");

    await db.execute("ALTER TABLE ch ADD COLUMN b BOOLEAN DEFAULT 1");
    const added = await db.query("SELECT * FROM ch");
    await db.execute("ALTER TABLE ch RENAME COLUMN b TO c");
    const renamed = await db.query("SELECT * FROM ch");
    await db.execute("DROP TABLE ch");
    await db.execute("CREATE TABLE ch (a BOOLEAN)");
    const empty = await db.query("SELECT * FROM ch");
    const returned = await db.query("INSERT INTO ch VALUES (1) RETURNING *");
    await db.execute("ALTER TABLE ch ADD COLUMN z");
    const wider = await db.query("INSERT INTO ch VALUES (1, 2) RETURNING *");

    expect([before, added, renamed, empty, returned, wider].map(({ json }) => json)).toEqual([
      '{"a":"1"}',
      '{"a":"1","b":true}',
      '{"a":"1","c":true}',
      "",
      '{"a":true}',
      '{"a":true,"z":2}',
    ]);
    expect(renamed.columns).toEqual([
      { name: "a", type: "text" },
      { name: "c", type: "boolean" },
    ]);
    expect(empty.columns).toEqual([{ name: "a", type: "boolean" }]);
  });

  it("by another program, too", async () => {
    await db.execute("CREATE TABLE foreign_change (a)");
    await db.execute("INSERT INTO foreign_change VALUES (1)");
    await db.query("SELECT * FROM foreign_change");
    await using other = await openSqlite({ path: db.path });

    await other.execute("ALTER TABLE foreign_change ADD COLUMN b DEFAULT 2");

    expect(await db.rows("SELECT * FROM foreign_change")).toEqual([{ a: 1, b: 2 }]);
    expect(await db.rows("INSERT INTO foreign_change(a) VALUES (5) RETURNING *")).toEqual([{ a: 5, b: 2 }]);
  });
});

describe("limits", () => {
  const numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < $1) SELECT x FROM c";

  it("stop a read at one row or byte too many", async () => {
    expect(rowsOf(await db.query(numbers, [10], { maxRows: 10 }))).toHaveLength(10);
    expect(await failureOf(db.query(numbers, [11], { maxRows: 10 }))).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(rowsOf(await db.query(numbers, [2], { maxBytes: 15 }))).toHaveLength(2);
    expect(await failureOf(db.query(numbers, [2], { maxBytes: 14 }))).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(await failureOf(db.query("SELECT 'éé' AS a", [], { maxBytes: 11 }))).toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
    });
    expect(await failureOf(db.query(numbers, [2 ** 50], { maxBytes: 10_000 }))).toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
    });
  });

  it("undo a write whose rows are too many, and only that one", async () => {
    await db.execute("CREATE TABLE lim (a)");

    const results = await Promise.allSettled([
      db.execute("INSERT INTO lim VALUES ('first')"),
      db.query("INSERT INTO lim VALUES (1), (2), (3) RETURNING a", [], { maxRows: 2 }),
      db.query("INSERT INTO lim VALUES ('last') RETURNING a", [], { maxRows: 2 }),
    ]);

    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await db.rows("SELECT a FROM lim")).toEqual([{ a: "first" }, { a: "last" }]);
  });
});
