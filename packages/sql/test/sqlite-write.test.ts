import { describe, expect, it } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";
import { until } from "@mikcar/devkit";
import {
  call,
  ENDLESS,
  ENDLESS_WRITE,
  failureOf,
  type Opened,
  openSqlite,
  processesOn,
  sql,
} from "./sqlite/harness.ts";

/** Writes to the file in short transactions, until it is ended. */
const OTHER_PROGRAM = `
  const db = new (require("node:sqlite").DatabaseSync)(process.argv[1], { timeout: 20000 });
  const insert = db.prepare("INSERT INTO t VALUES ('other')");
  setInterval(() => insert.run(), 1);
  console.log("writing");
`;
const script = { ...call(), isolation: "serializable", exclusive: false } as const;

async function count(db: Opened, table = "t"): Promise<unknown> {
  const [row] = (await db.rows(`SELECT count(*) AS n FROM ${table}`)) as { n: number }[]; // of this very query
  return row?.n;
}

describe("writes that share a commit", () => {
  it("fail by themselves", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a UNIQUE)");

    const results = await Promise.allSettled([
      db.execute("INSERT INTO t VALUES (1)"),
      db.execute("INSERT INTO t VALUES (2), (1)"),
      db.execute("INSERT INTO nowhere VALUES (2)"),
      db.execute("INSERT INTO t VALUES (3)"),
      db.execute("SELEC"),
      db.execute("UPDATE t SET a = a + 10 WHERE a = 3"),
    ]);

    expect(results.map(({ status }) => status[0])).toEqual(["f", "r", "r", "f", "r", "f"]);
    expect(await db.rows("SELECT a FROM t ORDER BY a")).toEqual([{ a: 1 }, { a: 13 }]);
  });

  it("survive one that rolls the whole back", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a UNIQUE)");
    await db.execute("CREATE TABLE tr (a)");
    await db.execute("CREATE TRIGGER no BEFORE INSERT ON tr BEGIN SELECT RAISE(ROLLBACK, 'never'); END");

    const results = await Promise.allSettled([
      db.execute("INSERT INTO t VALUES (1)"),
      db.execute("INSERT OR ROLLBACK INTO t VALUES (2), (1)"),
      db.execute("INSERT INTO t VALUES (3)"),
      db.execute("INSERT INTO tr VALUES (1)"),
      db.execute("INSERT INTO t VALUES (4)"),
    ]);

    expect(results.map(({ status }) => status[0])).toEqual(["f", "r", "f", "r", "f"]);
    expect(results[3]).toMatchObject({ reason: { message: "never", details: { sqlstate: "P0001" } } });
    expect(await db.rows("SELECT a FROM t ORDER BY a")).toEqual([{ a: 1 }, { a: 3 }, { a: 4 }]);
  });

  it("survive one that fails at the commit", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)");
    await db.execute("CREATE TABLE t (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
    await db.execute("INSERT INTO p VALUES (1)");

    const results = await Promise.allSettled([
      db.execute("INSERT INTO t VALUES (1)"),
      db.execute("INSERT INTO t VALUES (99)"),
      db.execute("INSERT INTO p VALUES (2)"),
      db.execute("INSERT INTO t VALUES (2)"),
    ]);

    expect(results.map(({ status }) => status[0])).toEqual(["f", "r", "f", "f"]);
    expect(results[1]).toMatchObject({ reason: { code: "CONFLICT", details: { sqlstate: "23503" } } });
    expect(await db.rows("SELECT p FROM t ORDER BY p")).toEqual([{ p: 1 }, { p: 2 }]);
  });

  it("may stand beside what runs alone", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");

    await Promise.all([
      db.execute("INSERT INTO t VALUES (1)"),
      db.execute("VACUUM"),
      db.execute("INSERT INTO t VALUES (2)"),
      db.db.batch([sql("INSERT INTO t VALUES (3)"), sql("INSERT INTO t VALUES (4)")], call()),
      db.execute("INSERT INTO t VALUES (5)"),
    ]);

    expect(await count(db)).toBe(5);
  });

  it("of 64 callers never meet a lock, while another program writes to the same file", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const other = spawn(process.execPath, ["-e", OTHER_PROGRAM, db.path], { stdio: ["ignore", "pipe", "inherit"] });
    await once(other.stdout, "data");

    const callers = Array.from({ length: 64 }, async (_, caller) => {
      for (let i = 0; i < 20; i++) {
        if (i % 10 === 9)
          await db.db.batch([sql("INSERT INTO t VALUES (1)"), sql("DELETE FROM t WHERE a = 1")], call());
        else await db.execute("INSERT INTO t VALUES ($1)", caller * 100 + i + 1000);
      }
    });
    await Promise.all(callers);
    const before = await db.rows("SELECT count(*) AS n FROM t WHERE a = 'other'");
    other.kill();
    await once(other, "close");

    expect(before).not.toEqual([{ n: 0 }]);
    expect(await db.rows("SELECT count(*) AS n FROM t WHERE a <> 'other'")).toEqual([{ n: 64 * 18 }]);
  });

  it("end with UNAVAILABLE when another program keeps the file to itself", async () => {
    await using db = await openSqlite({ query: "?busy_timeout_ms=50" });
    await db.execute("CREATE TABLE t (a)");
    const other = new DatabaseSync(db.path);
    other.exec("BEGIN IMMEDIATE");

    const results = await Promise.allSettled([
      db.execute("INSERT INTO t VALUES (1)"),
      db.execute("INSERT INTO t VALUES (2)"),
      db.db.batch([sql("INSERT INTO t VALUES (3)")], call()),
      db.db.begin(script).execute(sql("INSERT INTO t VALUES (4)")),
    ]);
    other.exec("ROLLBACK");
    other.close();

    for (const result of results) {
      expect(result).toMatchObject({ reason: { code: "UNAVAILABLE", headers: { "Retry-After": "1" } } });
    }
  });
});

describe("a batch", () => {
  it("tells which statement failed, and leaves nothing", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a UNIQUE)");
    const insert = sql("INSERT INTO t VALUES (1)");

    const failures = [
      [insert, insert],
      [insert, sql("SELEC"), insert],
      [insert, sql("INSERT INTO t VALUES ($1)")],
      [sql("INSERT OR ROLLBACK INTO t VALUES (1), (1)"), insert],
    ].map(async (statements) => db.db.batch(statements, call()).catch((reason: unknown) => reason));

    expect(await Promise.all(failures)).toMatchObject([
      { code: "CONFLICT", details: { statement: 1, sqlstate: "23505" } },
      { code: "SQL_ERROR", details: { statement: 1, sqlstate: "42601" } },
      { code: "SQL_ERROR", details: { statement: 1, sqlstate: "08P01" } },
      { code: "CONFLICT", details: { statement: 0, sqlstate: "23505" } },
    ]);
    expect(await count(db)).toBe(0);
  });

  it("holds more texts than a process keeps", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const statements = Array.from({ length: 500 }, (_, i) => sql(`INSERT INTO t VALUES (${i})`));

    const results = await db.db.batch(statements, call());
    await db.db.batch(statements.toReversed(), call());

    expect(results).toHaveLength(500);
    expect(await db.rows("SELECT count(*) AS n, count(DISTINCT a) AS d FROM t")).toEqual([{ n: 1000, d: 500 }]);
  });

  it("may defer its foreign keys", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)");
    await db.execute("CREATE TABLE t (p REFERENCES p)");
    const defer = sql("PRAGMA defer_foreign_keys = ON");

    await db.db.batch([defer, sql("INSERT INTO t VALUES (1)"), sql("INSERT INTO p VALUES (1)")], call());
    const failure = await failureOf(db.db.batch([defer, sql("INSERT INTO t VALUES (2)")], call()));

    expect(failure).toMatchObject({ code: "CONFLICT", state: "23503" });
    expect(await count(db)).toBe(1);
  });
});

describe("a transaction", () => {
  it("lets no other request in, and shows nothing before its commit", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const transaction = db.db.begin(script);
    await transaction.execute(sql("INSERT INTO t VALUES ('script')"));
    let isWritten = false;

    const other = db.execute("INSERT INTO t VALUES ('other')").then(() => (isWritten = true));
    const second = db.db.begin(script);
    const waiting = second.query(sql("SELECT count(*) AS n FROM t"));
    const seen = await transaction.query(sql("SELECT a FROM t"));
    const outside = await count(db);
    await transaction.execute(sql("INSERT INTO t VALUES ('script')"));
    expect(isWritten).toBe(false);
    await transaction.rollback();

    expect(seen.json).toBe('{"a":"script"}');
    expect(outside).toBe(0);
    await other;
    expect((await waiting).json).toBe('{"n":1}');
    await second.commit();
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: "other" }]);
  });

  it("is over after a failed statement", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a UNIQUE)");
    for (const fault of ["INSERT INTO t VALUES (1)", "SELEC", "SELECT $1", "INSERT OR ROLLBACK INTO t VALUES (1)"]) {
      const transaction = db.db.begin(script);
      await transaction.execute(sql("INSERT INTO t VALUES (1)"));

      await expect(transaction.execute(sql(fault))).rejects.toBeDefined();

      expect((await failureOf(transaction.query(sql("SELECT 1")))).state).toBe("25P02");
      expect((await failureOf(transaction.commit())).state).toBe("25P02");
      await transaction.rollback();
      await transaction.rollback();
    }
    expect(await count(db)).toBe(0);
  });

  it("may be empty, may be rolled back before its turn, and keeps a failed commit to itself", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
    await db.db.begin(script).commit();
    await db.db.begin(script).rollback();
    const first = db.db.begin(script);
    await first.execute(sql("INSERT INTO t VALUES (1, 99)"));
    const second = db.db.begin(script);
    const waiting = failureOf(second.execute(sql("INSERT INTO t VALUES (2, NULL)")));
    await second.rollback();

    expect((await waiting).code).toBe("UNAVAILABLE");
    expect(await failureOf(first.commit())).toMatchObject({ code: "CONFLICT", state: "23503" });
    await first.rollback();
    expect(await count(db)).toBe(0);
    expect((await failureOf(first.query(sql("SELECT 1")))).state).toBe("25P02");
  });

  it.each([ENDLESS, ENDLESS_WRITE])("is rolled back in the midst of %s", async (text) => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const transaction = db.db.begin(script);
    await transaction.execute(sql("INSERT INTO t VALUES (1)"));
    const endless = failureOf(transaction.query(sql(text)));
    const waiting = db.execute("INSERT INTO t VALUES (2)");

    await transaction.rollback();

    expect((await endless).code).toBe("UNAVAILABLE");
    await waiting;
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: 2 }]);
  });

  it("gives the writer back when its caller leaves", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const leaves = new AbortController();
    const transaction = db.db.begin({ ...script, signal: leaves.signal });
    await transaction.execute(sql("INSERT INTO t VALUES (1)"));
    const waiting = db.execute("INSERT INTO t VALUES (2)");

    leaves.abort(new Error("gone"));

    await waiting;
    await expect(transaction.commit()).rejects.toBeDefined();
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: 2 }]);
  });

  it("of many scripts that read, then write, keeps the sum", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, balance INTEGER CHECK (balance >= 0))");
    await db.execute("INSERT INTO t VALUES (1, 100), (2, 100)");

    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const transaction = db.db.begin(script);
        const from = (i % 2) + 1;
        const { json } = await transaction.query(sql("SELECT balance FROM t WHERE id = $1", from));
        const { balance } = JSON.parse(json) as { balance: number };
        if (balance < 30) return transaction.rollback();
        await transaction.execute(sql("UPDATE t SET balance = balance - 30 WHERE id = $1", from));
        await transaction.execute(sql("UPDATE t SET balance = balance + 30 WHERE id = $1", 3 - from));
        return transaction.commit();
      }),
    );

    expect(await db.rows("SELECT sum(balance) AS s FROM t")).toEqual([{ s: 200 }]);
  });
});

describe("the end of the writer's process", () => {
  it("loses no write and doubles none", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a UNIQUE)");
    let acknowledged = 0;
    let lost = 0;
    let isDone = false;
    const callers = Array.from({ length: 16 }, async (_, caller) => {
      for (let i = 0; !isDone; i++) {
        try {
          await db.execute("INSERT INTO t VALUES ($1)", caller * 1e9 + i);
          acknowledged += 1;
        } catch (error) {
          expect((error as { code: string }).code).toBe("UNAVAILABLE"); // committed, perhaps
          lost += 1;
        }
      }
    });

    for (let kill = 1; kill <= 5; kill++) {
      await until("more is written", () => acknowledged > kill * 300);
      for (const { pid, isWriter } of processesOn(db.path)) if (isWriter) process.kill(pid, "SIGKILL");
    }
    await until("more is written", () => acknowledged > 2000);
    isDone = true;
    await Promise.all(callers);

    const rows = (await count(db)) as number;
    expect(rows).toBeGreaterThanOrEqual(acknowledged);
    expect(rows).toBeLessThanOrEqual(acknowledged + lost);
  });

  it("fails the transaction that it held, and nothing else", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const transaction = db.db.begin(script);
    await transaction.execute(sql("INSERT INTO t VALUES (1)"));
    const waiting = db.execute("INSERT INTO t VALUES (2)");

    for (const { pid, isWriter } of processesOn(db.path)) if (isWriter) process.kill(pid, "SIGKILL");

    await waiting;
    await expect(transaction.commit()).rejects.toBeDefined();
    await transaction.rollback();
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: 2 }]);
  });
});
