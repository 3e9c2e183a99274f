import { describe, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { call, ENDLESS, ENDLESS_WRITE, failureOf, openSqlite, processesOn, sql } from "./sqlite/harness.ts";

describe("cancelling", () => {
  it("rejects with the reason of the signal, and ends what runs", async () => {
    await using db = await openSqlite();
    const leaves = new AbortController();
    const reason = new Error("the caller has left");
    const query = db.db.query(sql(ENDLESS), call(leaves.signal));
    await until("it runs", () => processesOn(db.path).some(({ cpu }) => cpu > 50));
    const [running] = processesOn(db.path);

    leaves.abort(reason);

    await expect(query).rejects.toBe(reason);
    await until("its process is gone", () => !processesOn(db.path).some(({ pid }) => pid === running?.pid));
    expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("is at once for a signal that has fired before", async () => {
    await using db = await openSqlite();
    const signal = AbortSignal.abort(new Error("before"));

    for (const attempt of [
      () => db.db.query(sql("SELECT 1"), { signal }),
      () => db.db.execute(sql("SELECT 1"), { signal }),
      () => db.db.stream(sql("SELECT 1"), { signal }),
      () => db.db.batch([sql("SELECT 1")], { signal }),
    ]) {
      expect((await failureOf(attempt())).message).toBe("before");
    }
    expect(processesOn(db.path)).toEqual([]);
  });

  it.each([ENDLESS, ENDLESS_WRITE])("comes with the timeout as well: %s", async (text) => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const start = performance.now();

    const failure = await failureOf(db.query(text, [], { timeoutMs: 300 }));

    expect(failure).toMatchObject({ code: "TIMEOUT", state: "57014" });
    expect(performance.now() - start).toBeLessThan(2000);
    await db.execute("INSERT INTO t VALUES (1)");
    expect(await db.rows("SELECT count(*) AS n FROM t")).toEqual([{ n: 1 }]);
    await until("nothing burns on", async () => {
      const before = processesOn(db.path).reduce((sum, { cpu }) => sum + cpu, 0);
      await db.rows("SELECT 1");
      return processesOn(db.path).reduce((sum, { cpu }) => sum + cpu, 0) - before < 5;
    });
  });

  it("of a batch and of an endless read in a batch undoes all of it", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const statements = [sql("INSERT INTO t VALUES (1)"), sql(ENDLESS), sql("INSERT INTO t VALUES (2)")];

    const failure = await failureOf(db.db.batch(statements, { ...call(), timeoutMs: 200 }));

    expect(failure).toMatchObject({ code: "TIMEOUT" });
    await db.execute("INSERT INTO t VALUES (3)");
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: 3 }]);
  });

  it("counts the innocent writes of the same group once", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");

    const endless = failureOf(db.query(ENDLESS_WRITE, [], { timeoutMs: 300 }));
    const innocent = Array.from({ length: 50 }, (_, i) => db.execute("INSERT INTO t VALUES ($1)", i));
    const more = failureOf(db.query(ENDLESS_WRITE, [], { timeoutMs: 350 }));
    const late = Array.from({ length: 50 }, (_, i) => db.execute("INSERT INTO t VALUES ($1)", 50 + i));
    const results = await Promise.all([...innocent, ...late]);

    expect((await endless).code).toBe("TIMEOUT");
    expect((await more).code).toBe("TIMEOUT");
    expect(results.map(({ affected }) => affected)).toEqual(Array.from({ length: 100 }, () => 1));
    expect(await db.rows("SELECT count(*) AS n, count(DISTINCT a) AS d, max(a) AS m FROM t")).toEqual([
      { n: 100, d: 100, m: 99 },
    ]);
  });

  it("of a write that waits leaves it without effect", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const transaction = db.db.begin({ ...call(), isolation: "serializable", exclusive: false });
    await transaction.execute(sql("INSERT INTO t VALUES ('script')"));

    const waiting = await failureOf(db.query("INSERT INTO t VALUES ('late')", [], { timeoutMs: 100 }));
    await transaction.commit();

    expect(waiting.code).toBe("TIMEOUT");
    expect(await db.rows("SELECT a FROM t")).toEqual([{ a: "script" }]);
  });
});

describe("a long query", () => {
  it("stalls nobody, whatever was sent along with it", async () => {
    await using db = await openSqlite();
    await db.rows("SELECT 1");
    const leaves = new AbortController();

    const long = failureOf(db.db.query(sql(ENDLESS), call(leaves.signal)));
    const short = await Promise.all(Array.from({ length: 40 }, (_, i) => db.rows("SELECT $1 AS a", i)));
    const another = failureOf(db.db.query(sql(ENDLESS), call(leaves.signal)));
    const later = await Promise.all(Array.from({ length: 40 }, (_, i) => db.rows("SELECT $1 AS a", i)));

    expect([...short, ...later]).toHaveLength(80);
    await db.db.ping();
    const readers = processesOn(db.path).filter(({ isWriter }) => !isWriter);
    expect(readers.length).toBeLessThanOrEqual(4);
    leaves.abort(new Error("enough"));
    expect((await long).message).toBe("enough");
    expect((await another).message).toBe("enough");
    await until("both are gone", () => {
      const left = new Set(processesOn(db.path).map(({ pid }) => pid));
      return readers.filter(({ pid }) => left.has(pid)).length <= readers.length - 2;
    });
  });

  it("is run once, not on every reader", async () => {
    await using db = await openSqlite();
    const leaves = new AbortController();
    const long = failureOf(db.db.query(sql(ENDLESS), call(leaves.signal)));
    await until("it burns", () => processesOn(db.path).some(({ cpu }) => cpu > 60));

    await Promise.all(Array.from({ length: 20 }, () => db.rows("SELECT 1")));

    expect(processesOn(db.path).filter(({ cpu }) => cpu > 55)).toHaveLength(1);
    leaves.abort(new Error("enough"));
    await long;
  });

  it("waits for a reader when all are busy, and has its turn", async () => {
    await using db = await openSqlite({ query: "?readers=1" });
    const long = failureOf(db.query(ENDLESS, [], { timeoutMs: 400 }));

    expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    expect((await long).code).toBe("TIMEOUT");
  });

  it("does not hold up writes, nor they it", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a)");
    const leaves = new AbortController();
    const write = failureOf(db.db.execute(sql(ENDLESS_WRITE), call(leaves.signal)));

    expect(await db.rows("SELECT count(*) AS n FROM t")).toEqual([{ n: 0 }]);
    leaves.abort(new Error("enough"));
    expect((await write).message).toBe("enough");
  });
});
