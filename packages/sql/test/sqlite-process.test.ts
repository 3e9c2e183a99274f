import { describe, expect, it } from "@jest/globals";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { configUrl } from "@mikcar/core";
import { temporaryFolder, until } from "@mikcar/devkit";
import { open } from "../src/backends/sqlite/index.ts";
import { call, ENDLESS, failureOf, openSqlite, processesOn, sql, sqliteUrl } from "./sqlite/harness.ts";

const NUMBERS =
  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < $1) SELECT x, 'row ' || x AS t FROM c";
const SHARED = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Runs test/sqlite/program.ts; `output` grows. */
function program(url: string, task: string): { child: ChildProcess; output(): string } {
  const file = fileURLToPath(new URL("./sqlite/program.ts", import.meta.url));
  const child = spawn(process.execPath, [file, url, task], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk));
  return { child, output: () => text };
}

describe("a sidecar that is killed", () => {
  it("loses nothing it has acknowledged, and leaves no process", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "db.sqlite");
    const acknowledged = new Set<number>();
    for (let round = 1; round <= 3; round++) {
      const { child, output } = program(sqliteUrl(path), "write");
      await until("it has written", () => output().split("\n").length > 200 * round, 30_000);

      child.kill("SIGKILL");
      await once(child, "close");

      for (const line of output().split("\n")) if (/^\d+$/.test(line)) acknowledged.add(Number(line));
      await until("its processes are gone", () => processesOn(path).length === 0);
      await using db = await openSqlite({ path });
      const stored = new Set(((await db.rows("SELECT a FROM t")) as { a: number }[]).map(({ a }) => a)); // of this query
      expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
      await db.execute("DELETE FROM t");
      acknowledged.clear();
    }
    folder.remove();
  }, 60_000);

  it("leaves no process behind that is deep in an endless statement", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "db.sqlite");
    const { child } = program(sqliteUrl(path), "endless");
    await until("both burn", () => processesOn(path).filter(({ cpu }) => cpu > 50).length >= 2, 30_000);

    child.kill("SIGKILL");

    await until("they are gone", () => processesOn(path).length === 0);
    folder.remove();
  }, 40_000);

  it("has its folder in memory removed by the next one", async () => {
    const { child, output } = program("sqlite::memory:", "endless");
    await until("it is at work", () => output().includes("ready"), 30_000);
    const [folder = "none"] = readdirSync(SHARED).filter((name) => name.includes(`-${child.pid}-`));
    expect(statSync(join(SHARED, folder)).mode & 0o777).toBe(0o700);
    child.kill("SIGKILL");
    await once(child, "close");

    const db = await open(configUrl("sqlite::memory:"));

    expect(existsSync(join(SHARED, folder))).toBe(false);
    await db.close();
  }, 40_000);
});

describe("processes", () => {
  it("do not keep the program alive", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "db.sqlite");
    const { child, output } = program(sqliteUrl(path), "idle");

    const [code] = (await once(child, "close")) as [number | null];

    expect([code, output()]).toEqual([0, "ready\n"]);
    await until("they are gone", () => processesOn(path).length === 0);
    folder.remove();
  }, 40_000);

  it("start with the first use, and end with the backend", async () => {
    await using db = await openSqlite();
    expect(processesOn(db.path)).toEqual([]);
    await db.db.ping();
    await db.execute("CREATE TABLE t (a)");
    const long = failureOf(db.query(ENDLESS));
    await until("it runs", () => processesOn(db.path).length >= 2);

    await Promise.all([db.db.close(), db.db.close()]);

    expect((await long).code).toBe("UNAVAILABLE");
    expect(processesOn(db.path)).toEqual([]);
    expect(existsSync(`${db.path}-wal`)).toBe(false);
    for (const late of [
      () => db.query("SELECT 1"),
      () => db.execute("DELETE FROM t"),
      () => db.db.batch([sql("DELETE FROM t")], call()),
      () => db.db.stream(sql("SELECT 1"), call()),
      () => db.db.begin({ ...call(), isolation: "serializable", exclusive: false }).execute(sql("DELETE FROM t")),
      () => db.db.ping(),
    ]) {
      expect((await failureOf(late())).code).toBe("UNAVAILABLE");
    }
  });

  it("that end by themselves take no query with them", async () => {
    await using db = await openSqlite();
    await db.rows("SELECT 1");
    const answers = Array.from({ length: 8 }, () => 0);
    let isDone = false;
    const callers = answers.map(async (_, caller) => {
      while (!isDone) {
        expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
        answers[caller] = (answers[caller] ?? 0) + 1;
      }
    });

    for (let kill = 0; kill < 3; kill++) {
      const before = [...answers];
      await until("each goes on", () => answers.every((count, caller) => count > (before[caller] ?? 0) + 1));
      for (const { pid } of processesOn(db.path)) process.kill(pid, "SIGKILL");
    }
    isDone = true;
    await Promise.all(callers);
  });

  it("are told apart from a database that cannot be opened any more", async () => {
    await using db = await openSqlite();
    rmSync(db.path);
    mkdirSync(db.path);

    expect((await failureOf(db.query("SELECT 1"))).code).toBe("UNAVAILABLE");
    expect((await failureOf(db.execute("CREATE TABLE t (a)"))).code).toBe("UNAVAILABLE");
    expect((await failureOf(db.db.ping())).code).toBe("UNAVAILABLE");
  });
});

describe("sqlite::memory:", () => {
  it("is one database for all connections, private, and gone with the backend", async () => {
    const db = await open(configUrl("sqlite::memory:"));
    const other = await open(configUrl("sqlite::memory:"));
    await db.execute(sql("CREATE TABLE t (a)"), call());
    await db.execute(sql("INSERT INTO t VALUES (1)"), call());
    const space = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0];
    const folders = (): string[] =>
      readdirSync(SHARED).filter((name) => name.startsWith(`mikcar-sql-${space}-${process.pid}-`));

    const { json } = await db.query(sql("SELECT count(*) AS n FROM t"), call());

    expect(json).toBe('{"n":1}');
    expect((await failureOf(other.query(sql("SELECT * FROM t"), call()))).state).toBe("42P01");
    expect(folders()).toHaveLength(2);
    await Promise.all([db.close(), other.close()]);
    expect(folders()).toEqual([]);
  });
});

describe("a stream", () => {
  it("gives every row, one a line", async () => {
    await using db = await openSqlite();

    const stream = await db.db.stream(sql(NUMBERS, 20_000), { ...call(), int64: "number" });
    let text = "";
    for await (const piece of stream.lines) text += piece.toString();

    expect(stream.columns).toEqual([
      { name: "x", type: "integer" },
      { name: "t", type: "text" },
    ]);
    expect(stream.count()).toBe(20_000);
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(20_000);
    expect(lines.at(-1)).toBe('{"x":20000,"t":"row 20000"}');
  });

  it("goes on only as it is read, in flat memory on both sides", async () => {
    await using db = await openSqlite();
    const stream = await db.db.stream(sql(NUMBERS, 300_000), call());
    const iterator = stream.lines[Symbol.asyncIterator]();
    await iterator.next();
    await db.rows("SELECT 1");
    expect(stream.count()).toBeLessThan(5000);
    const before = process.memoryUsage().rss;
    let bytes = 0;
    let most = 0;

    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) break;
      bytes += value.length;
      most = Math.max(most, value.length, (process.memoryUsage().rss - before) / 1000);
    }

    expect(stream.count()).toBe(300_000);
    expect(bytes).toBeGreaterThan(8_000_000);
    expect(most).toBeLessThan(100_000);
  });

  it("that is left early frees its reader", async () => {
    await using db = await openSqlite({ query: "?readers=1" });
    for (let i = 0; i < 5; i++) {
      const stream = await db.db.stream(sql(ENDLESS.replace("count(*)", "x")), call());
      for await (const piece of stream.lines) {
        expect(piece.length).toBeGreaterThan(60_000);
        break;
      }
    }

    expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    expect(processesOn(db.path).filter(({ isWriter }) => !isWriter).length).toBeLessThanOrEqual(2);
  });

  it("ends with its signal, read or not, and lets queries pass meanwhile", async () => {
    await using db = await openSqlite({ query: "?readers=1" });
    const leaves = new AbortController();
    const stream = await db.db.stream(sql(ENDLESS.replace("count(*)", "x")), call(leaves.signal));
    const iterator = stream.lines[Symbol.asyncIterator]();
    await iterator.next();
    expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    const waiting = db.db.stream(sql("SELECT 2 AS b"), call());

    leaves.abort(new Error("gone"));

    await expect((await waiting).lines[Symbol.asyncIterator]().next()).resolves.toMatchObject({ done: false });
    await expect(iterator.next()).rejects.toBeDefined();
  });

  it("fails as a query does, at its first piece or later", async () => {
    await using db = await openSqlite();

    expect((await failureOf(db.db.stream(sql("SELECT nope"), call()))).state).toBe("42703");
    expect((await failureOf(db.db.stream(sql(ENDLESS), { ...call(), timeoutMs: 100 }))).code).toBe("TIMEOUT");
    expect((await failureOf(db.db.stream(sql(NUMBERS, 3), { ...call(), maxRows: 2 }))).code).toBe("PAYLOAD_TOO_LARGE");
    const stream = await db.db.stream(sql(NUMBERS, 20_000), { ...call(), maxRows: 15_000 });
    const read = (async () => {
      for await (const piece of stream.lines) expect(piece.length).toBeGreaterThan(0);
    })();
    expect((await failureOf(read)).code).toBe("PAYLOAD_TOO_LARGE");
    expect(await db.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
  });

  it("of a write is committed", async () => {
    await using db = await openSqlite();
    await db.execute("CREATE TABLE t (a, b)");

    const stream = await db.db.stream(sql(`INSERT INTO t ${NUMBERS} RETURNING a`, 50_000), call());
    let bytes = 0;
    for await (const piece of stream.lines) bytes += piece.length;

    expect(stream.count()).toBe(50_000);
    expect(bytes).toBeGreaterThan(500_000);
    expect(await db.rows("SELECT count(*) AS n FROM t")).toEqual([{ n: 50_000 }]);
  });
});
