import { describe, expect, it } from "@jest/globals";
import { readStatement } from "../src/statement.ts";
import type { Dialect } from "../src/tokens.ts";

const P = "postgres";
const S = "sqlite";

describe("the verb and the table of a text", () => {
  it.each<[text: string, kind: string, table: string | undefined, isRead: boolean, dialect?: Dialect]>([
    ["select 1", "SELECT", undefined, true],
    ["SELECT * FROM users WHERE id = $1", "SELECT", "users", true],
    ['-- a\n/* b /* c */ d */ SELECT * FROM public."My Table"', "SELECT", "public.My Table", true],
    ["/* a /* b */ SELECT * FROM t", "SELECT", "t", true, S],
    ["(SELECT a FROM t) UNION SELECT 2", "SELECT", "t", true],
    ["SELECT extract(year FROM d) FROM t", "SELECT", "t", true],
    ["SELECT 'x FROM y' FROM t", "SELECT", "t", true],
    ["SELECT $tag$ FROM a $tag$ FROM b", "SELECT", "b", true],
    ["SELECT E'it\\'s' FROM t", "SELECT", "t", true],
    ["SELECT * INTO copy FROM t", "SELECT", "t", false],
    ["VALUES (1)", "VALUES", undefined, true],
    ["SHOW server_version", "SHOW", undefined, true],
    ["WITH a AS (SELECT 1) SELECT * FROM a", "SELECT", "a", true],
    ["WITH RECURSIVE a(x) AS (SELECT 1), b AS MATERIALIZED (SELECT 2) SELECT * FROM b", "SELECT", "b", true],
    ["WITH insert AS (SELECT 1) SELECT * FROM insert", "SELECT", "insert", true],
    ["WITH a AS (SELECT 1) INSERT INTO users (x) SELECT * FROM a", "INSERT", "users", false],
    ["WITH a AS (INSERT INTO logs VALUES ($1) RETURNING id) SELECT * FROM a", "INSERT", "logs", false],
    ["WITH a AS (DELETE FROM t RETURNING *) INSERT INTO old SELECT * FROM a", "INSERT", "old", false],
    ["INSERT INTO a.b (c) VALUES (1)", "INSERT", "a.b", false],
    ["INSERT OR REPLACE INTO [a b] VALUES (1)", "INSERT", "a b", false, S],
    ["REPLACE INTO `t` VALUES (1)", "REPLACE", "t", false, S],
    ["UPDATE ONLY t SET a = 1", "UPDATE", "t", false],
    ["DELETE FROM t", "DELETE", "t", false],
    ["MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE", "MERGE", "t", false],
    ["CREATE TABLE IF NOT EXISTS t (a INT)", "CREATE", "t", false],
    ["CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a)", "CREATE", "s.t", false],
    ["CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE", "v", false],
    ["ALTER TABLE IF EXISTS t ADD COLUMN b INT", "ALTER", "t", false],
    ["DROP TABLE t", "DROP", "t", false],
    ["TRUNCATE t", "TRUNCATE", "t", false],
    ["GRANT SELECT ON TABLE t TO someone", "GRANT", "t", false],
    ["REVOKE ALL ON t FROM someone", "REVOKE", "t", false],
    ["EXPLAIN SELECT * FROM t", "EXPLAIN", undefined, true],
    ["EXPLAIN ANALYZE DELETE FROM t", "EXPLAIN", "t", false],
    ["PRAGMA table_info(t)", "PRAGMA", undefined, true, S],
    ["PRAGMA user_version", "PRAGMA", undefined, true, S],
    ["PRAGMA user_version = 5", "PRAGMA", undefined, false, S],
    ["PRAGMA user_version(5)", "PRAGMA", undefined, false, S],
    ["DO $$ BEGIN NULL; END $$", "DO", undefined, false],
    ["'open string", "", undefined, false],
    ["/* open comment", "", undefined, false],
    ['SELECT "open name', "SELECT", undefined, true],
  ])("%s", (text, kind, table, isRead, dialect = P) => {
    expect(readStatement(text, dialect)).toMatchObject({ kind, table, isRead });
  });

  it("cuts a name that is no name but an attack on the log", () => {
    expect(readStatement(`DROP TABLE "${"x".repeat(5000)}"`, P).table).toHaveLength(200);
  });
});

describe("what is refused", () => {
  it.each<[text: string, dialect: Dialect]>([
    ["BEGIN", P],
    ["start transaction", P],
    ["/* a */ ; -- b\n COMMIT AND CHAIN", P],
    ["ROLLBACK TO a", S],
    ["PREPARE TRANSACTION 'x'", P],
    ["SET search_path = evil", P],
    ["SET SESSION ROLE admin", P],
    ["SET LOCAL transaction_isolation = 'read committed'", P],
    ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", P],
    ["RESET ALL", P],
    ["DISCARD ALL", P],
    ["LISTEN a", P],
    ["PREPARE a AS SELECT 1", P],
    ["DEALLOCATE ALL", P],
    ["DECLARE c CURSOR WITH HOLD FOR SELECT 1", P],
    ["COPY t FROM '/etc/passwd'", P],
    ["LOAD 'x'", P],
  ])("%s", (text, dialect) => {
    expect(readStatement(text, dialect).refusal).toMatchObject({ sqlstate: "0A000" });
  });

  it.each(["SET LOCAL lock_timeout = 5", "UPDATE t SET a = 1", "SELECT 1 AS begin", "NOTIFY a", "CALL p()"])(
    "but not %s",
    (text) => {
      expect(readStatement(text, P).refusal).toBeUndefined();
    },
  );

  it.each(["", " ", "-- a", "/* b */", ";", " ; ;"])("a text without a statement: %p", (text) => {
    expect(readStatement(text, P).refusal).toMatchObject({ sqlstate: "42601" });
  });
});
