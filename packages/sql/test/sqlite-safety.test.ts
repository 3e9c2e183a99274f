import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { open } from "../src/backends/sqlite/index.ts";
import { call, failureOf, type Opened, openSqlite, sql, sqliteUrl } from "./sqlite/harness.ts";

let db: Opened;

beforeAll(async () => {
  db = await openSqlite();
  await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
});
afterAll(async () => db[Symbol.asyncDispose]());

describe("what a caller may not do", () => {
  const refused: readonly (readonly [text: string, says: RegExp])[] = [
    ["ATTACH 'other.sqlite' AS other", /^ATTACH is refused: .*another/],
    ["ATTACH '' AS other", /^ATTACH is refused/],
    ["ATTACH ':memory:' AS other", /^ATTACH is refused/],
    ["ATTACH 'a' || 'b' AS other", /^ATTACH is refused/],
    ["DETACH main", /^DETACH is refused/],
    ["VACUUM INTO 'copy.sqlite'", /^VACUUM INTO is refused: .*VACUUM alone/],
    ["VACUUM INTO 'copy' || '.sqlite'", /^VACUUM INTO is refused/],
    ["SELECT load_extension('x')", /^load_extension is refused/],
    ["BEGIN", /^transaction control is refused: .*batch or script/],
    ["COMMIT", /^transaction control is refused/],
    ["ROLLBACK", /^transaction control is refused/],
    ["SAVEPOINT s", /^transaction control is refused/],
    ["RELEASE s", /^transaction control is refused/],
    ["PRAGMA database_list", /^PRAGMA database_list is refused; allowed are .*table_info/],
    ["SELECT file FROM pragma_database_list", /^PRAGMA database_list is refused/],
    ["PRAGMA journal_mode = DELETE", /^PRAGMA journal_mode is refused/],
    ["PRAGMA foreign_keys = OFF", /^PRAGMA foreign_keys is refused/],
    ["PRAGMA writable_schema = 1", /^PRAGMA writable_schema is refused/],
    ["PRAGMA temp_store_directory = '/etc'", /^PRAGMA temp_store_directory is refused/],
    ["PRAGMA wal_checkpoint", /^PRAGMA wal_checkpoint is refused/],
    ["PRAGMA page_size = 512", /^PRAGMA page_size can be read here, not set/],
    ["PRAGMA schema_version = 7", /^PRAGMA schema_version can be read here, not set/],
    ["CREATE TEMP TABLE x (a)", /^temporary tables, .* are refused: .*CTE/],
    ["CREATE TABLE temp.x (a)", /^temporary tables/],
    ["CREATE TEMP VIEW x AS SELECT 1", /^temporary tables/],
    ["CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", /^temporary tables/],
    ["CREATE VIRTUAL TABLE temp.x USING fts5(a)", /^temporary tables/],
    ["DROP TABLE temp.mikcar_mark", /belongs to the service/],
  ];
  it.each(refused)("%s", async (text, says) => {
    for (const attempt of [() => db.query(text), () => db.execute(text)]) {
      const failure = await failureOf(attempt());

      expect(failure).toEqual({ code: "SQL_ERROR", state: "42501", message: expect.stringMatching(says) });
    }
  });

  it("does it in a batch or a script either", async () => {
    for (const text of ["ATTACH 'x' AS y", "COMMIT", "PRAGMA database_list", "CREATE TEMP TABLE x (a)"]) {
      const transaction = db.db.begin({ ...call(), isolation: "serializable", exclusive: false });

      expect(await failureOf(db.db.batch([sql(text)], call()))).toMatchObject({ state: "42501" });
      expect(await failureOf(transaction.execute(sql(text)))).toMatchObject({ state: "42501" });
      await transaction.rollback();
    }
  });

  it("sees the table of ours", async () => {
    expect((await failureOf(db.query("SELECT * FROM temp.mikcar_mark"))).state).toBe("42P01");
    expect((await failureOf(db.query("DELETE FROM temp.mikcar_mark RETURNING *"))).state).toBe("42501");
  });

  it("changes the schema table or writes files by no other way", async () => {
    expect((await failureOf(db.execute("UPDATE sqlite_schema SET sql = ''"))).state).toBe("42501");
    expect((await failureOf(db.query("SELECT writefile('x', 'y')"))).state).toBe("42883");
    expect(existsSync(join(db.path, "..", "copy.sqlite"))).toBe(false);
  });
});

describe("what a caller may do", () => {
  it.each([
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "PRAGMA table_info(t)",
    "SELECT name FROM pragma_table_info('t')",
    "PRAGMA user_version = 7",
    "PRAGMA integrity_check",
    "PRAGMA foreign_key_check",
    "PRAGMA optimize",
    "PRAGMA page_size",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(a)",
    "CREATE TRIGGER IF NOT EXISTS tr AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END",
    "ALTER TABLE t ADD COLUMN b",
    "ALTER TABLE t DROP COLUMN b",
  ])("%s", async (text) => {
    await expect(db.query(text)).resolves.toBeDefined();
  });

  it("reads what it has set", async () => {
    await db.execute("PRAGMA user_version = 11");

    expect(await db.rows("PRAGMA user_version")).toEqual([{ user_version: 11 }]);
  });
});

describe("a text", () => {
  it.each([
    "SELECT 1; SELECT 2",
    "SELECT 1;;\n-- a\nDROP TABLE t",
    "SELECT 'é'; /* */ x",
    "DELETE FROM t; DELETE FROM t",
  ])("is one statement: %s", async (text) => {
    expect(await failureOf(db.query(text))).toMatchObject({
      state: "42601",
      message: expect.stringContaining("second"),
    });
  });

  it.each([
    "SELECT 1 AS a;",
    ";; SELECT 1 AS a",
    "SELECT 1 AS a; -- end",
    "/* a;b */ SELECT 1 AS a ; /* open",
    "SELECT 1 AS a\n;\n;",
  ])("may have comments and semicolons around: %s", async (text) => {
    expect(await db.rows(text)).toEqual([{ a: 1 }]);
  });

  it.each(["", "  ", ";", "-- nothing", "/* nothing */;"])("is not empty: %j", async (text) => {
    expect(await failureOf(db.query(text))).toMatchObject({ code: "SQL_ERROR", state: "42601" });
  });

  it("has no NUL, behind which SQLite would read no further", async () => {
    expect(await failureOf(db.query("SELECT 1 \0 nonsense"))).toMatchObject({ code: "SQL_ERROR", state: "42601" });
  });
});

describe("placeholders", () => {
  const bound: readonly (readonly [text: string, params: readonly (string | number)[], values: readonly unknown[]])[] =
    [
      ["SELECT $1 AS a, $2 AS b", [1, 2], [1, 2]],
      ["SELECT $2 AS a, $1 AS b", [1, 2], [2, 1]],
      ["SELECT ?2 AS a, ?1 AS b", [1, 2], [2, 1]],
      ["SELECT ? AS a, ? AS b", [1, 2], [1, 2]],
      ["SELECT $1 AS a, $1 AS b", [7], [7, 7]],
      ["SELECT ?2 AS a, ? AS b", [1, 2, 3], [2, 3]],
      ["SELECT $3 AS a, ?1 AS b", [1, 2, 3], [3, 1]],
      ["SELECT '$2 ? :a @b' AS a, ? AS b", ["x"], ["$2 ? :a @b", "x"]],
      ["SELECT $1 AS \"$2\", '' AS [?], 2 AS `:a` -- $4", [1], [1, "", 2]],
      ["SELECT 'it''s $3' AS a, /* $5 ? */ $1 AS b", [1], ["it's $3", 1]],
      ["SELECT a$1 AS b FROM (SELECT 5 AS a$1)", [], [5]],
      ["SELECT x'31' || $1 AS é$2", [2], ["12"]],
      ["SELECT $11 AS a, $1 AS b", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [11, 1]],
      ["SELECT '{\"a\":{\"b\":4}}'->'a'->>'b' AS a, $1 AS b", [3], [4, 3]],
    ];
  it.each(bound)("%s", async (text, params, values) => {
    const [row] = await db.rows(text, ...params);

    expect(Object.values(row as object)).toEqual(values);
  });

  it.each([
    ["SELECT $1", [], "has 1 parameters, but 0 were given"],
    ["SELECT $2", [1], "has 2 parameters, but 1 were given"],
    ["SELECT 1", [1], "has 0 parameters, but 1 were given"],
    ["SELECT ?, ?", [1, 2, 3], "has 2 parameters, but 3 were given"],
  ] as const)("%s with %j is refused", async (text, params, says) => {
    expect(await failureOf(db.query(text, params))).toMatchObject({
      code: "SQL_ERROR",
      state: "08P01",
      message: expect.stringContaining(says),
    });
  });

  it.each(["SELECT :a", "SELECT @a", "SELECT $a", "SELECT $0", "SELECT ?0", "SELECT ?99999", "SELECT $1a"])(
    "%s is refused",
    async (text) => {
      expect(await failureOf(db.query(text, [1]))).toMatchObject({ code: "SQL_ERROR", state: "42P02" });
    },
  );
});

describe("opening", () => {
  it("leaves a file of another kind alone, and says what it is not", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "notes.txt");
    writeFileSync(
      path,
      "these are my notes, and they are long enough to look like a header of a database file\n".repeat(20),
    );
    const before = readFileSync(path, "utf8");

    const attempt = open(configUrl(sqliteUrl(path)));

    expect(await failureOf(attempt)).toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringContaining("not a SQLite"),
    });
    expect(readFileSync(path, "utf8")).toBe(before);
    folder.remove();
  });

  it("makes the folders that are missing", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "a", "b", "db.sqlite");

    await using opened = await openSqlite({ path });

    await opened.execute("CREATE TABLE t (a)");
    expect(existsSync(path)).toBe(true);
    folder.remove();
  });

  it("refuses a folder, a missing path and unknown parameters", async () => {
    expect((await failureOf(open(configUrl("sqlite:///tmp")))).message).toContain("it must be a file");
    expect((await failureOf(open(configUrl("sqlite://")))).message).toContain("path of the file is missing");
    expect((await failureOf(open(configUrl("sqlite::memory:?reader=1")))).message).toContain(
      'unknown parameter "reader"',
    );
    expect((await failureOf(open(configUrl("sqlite::memory:?readers=65")))).message).toContain("from 1 to 64");
  });
});

describe("errors have the SQLSTATE that Postgres gives", () => {
  beforeAll(async () => {
    await db.execute(
      "CREATE TABLE e (id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL DEFAULT 0, c CONSTRAINT small CHECK (c < 10), p REFERENCES e(id))",
    );
    await db.execute("CREATE TABLE s (a INT) STRICT");
    await db.execute("CREATE TRIGGER no5 BEFORE INSERT ON s WHEN NEW.a = 5 BEGIN SELECT RAISE(ABORT, 'no five'); END");
    await db.execute("INSERT INTO e(id, u) VALUES (1, 'x')");
  });

  const faults: readonly (readonly [text: string, code: string, state: string, message: string])[] = [
    ["INSERT INTO e(id) VALUES (1)", "CONFLICT", "23505", "UNIQUE constraint failed: e.id"],
    ["INSERT INTO e(u) VALUES ('x')", "CONFLICT", "23505", "UNIQUE constraint failed: e.u"],
    ["INSERT INTO e(p) VALUES (99)", "CONFLICT", "23503", "FOREIGN KEY constraint failed"],
    ["INSERT INTO e(c) VALUES (10)", "CONFLICT", "23514", "CHECK constraint failed: small"],
    ["INSERT INTO e(n) VALUES (NULL)", "SQL_ERROR", "23502", "NOT NULL constraint failed: e.n"],
    ["INSERT INTO s VALUES ('x')", "SQL_ERROR", "42804", "cannot store TEXT value in INT column s.a"],
    ["INSERT INTO s VALUES (5)", "SQL_ERROR", "P0001", "no five"],
    ["INSERT INTO e(id) VALUES ('x')", "SQL_ERROR", "42804", "datatype mismatch"],
    ["SELEC 1", "SQL_ERROR", "42601", 'near "SELEC": syntax error'],
    ["SELECT 1 +", "SQL_ERROR", "42601", "incomplete input"],
    ["SELECT * FROM nope", "SQL_ERROR", "42P01", "no such table: nope"],
    ["SELECT nope FROM e", "SQL_ERROR", "42703", "no such column: nope"],
    ["SELECT nope(1)", "SQL_ERROR", "42883", "no such function: nope"],
    ["SELECT abs()", "SQL_ERROR", "42883", "wrong number of arguments to function abs()"],
    ["CREATE TABLE e (a)", "SQL_ERROR", "42P07", "table e already exists"],
    ["SELECT abs(-9223372036854775808)", "SQL_ERROR", "22003", "integer overflow"],
    ["SELECT json('{')", "SQL_ERROR", "22P02", "malformed JSON"],
    ["SELECT zeroblob(2000000000)", "SQL_ERROR", "54000", "string or blob too big"],
  ];
  it.each(faults)("%s", async (text, code, state, message) => {
    expect(await failureOf(db.query(text))).toEqual({ code, state, message });
  });

  it("and names what it is about", async () => {
    const error: unknown = await db.execute("INSERT INTO e(u) VALUES ('x')").catch((reason: unknown) => reason);

    expect(error).toMatchObject({ details: { sqlstate: "23505", table: "e", column: "u" } });
  });
});
