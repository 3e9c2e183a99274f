import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { createEngine } from "../../src/script/sandbox.ts";
import { childProcesses, processorMs, untilQuiet, useSandbox } from "./sandbox.ts";

/** A statement that ends when the test says so. */
function gate(): { sql: () => Promise<string>; open: () => void; isEntered: () => boolean } {
  let open: () => void = () => undefined;
  let isEntered = false;
  const opened = new Promise<string>((resolve) => {
    open = () => resolve("1");
  });
  const sql = () => {
    isEntered = true;
    return opened;
  };
  return { sql, open, isEntered: () => isEntered };
}

describe("an engine", () => {
  const engine = createEngine({ children: 2 });
  afterAll(() => engine.close());

  it("starts no child before the first script", () => {
    expect(childProcesses()).toEqual([]);
  });

  it("can be closed without having run anything, and twice", async () => {
    const unused = createEngine();

    await unused.close();
    await unused.close();

    const job = {
      source: "1",
      input: "{}",
      caller: "x",
      timeoutMs: 100,
      memoryMb: 16,
      sql: async () => "1",
      log: () => undefined,
    };
    await expect(unused.run({ ...job, signal: new AbortController().signal })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });
});

describe("the queue", () => {
  const sandbox = useSandbox({ children: 2, waiting: 3 });

  it("runs two at once, lets three wait, and refuses the sixth with Retry-After", async () => {
    const { sql, open } = gate();
    const held = Array.from({ length: 5 }, () => sandbox.run("sql.execute('x')", { sql }));

    const refused = await sandbox.refusal("1");
    open();

    expect(refused.code).toBe("UNAVAILABLE");
    expect(refused.error).toMatchObject({ headers: { "Retry-After": "1" } });
    expect(await Promise.all(held)).toEqual([1, 1, 1, 1, 1]);
  });

  it("starts the clock of a script when the script starts", async () => {
    const { sql, open } = gate();
    const held = [1, 2].map(() => sandbox.run("sql.execute('x')", { sql }));
    const waiting = sandbox.run("1", { timeoutMs: 1000 });
    const startedAt = performance.now();
    await until("more than its time has passed", () => performance.now() > startedAt + 1200);
    open();

    expect(await waiting).toBe(1);
    await Promise.all(held);
  });

  it("is left by a script whose caller leaves", async () => {
    const { sql, open } = gate();
    const held = [1, 2].map(() => sandbox.run("sql.execute('x')", { sql }));
    const leaving = new AbortController();
    const reason = new Error("the caller left");
    const left = [1, 2, 3].map(() => sandbox.refusal("2", { signal: leaving.signal }));

    leaving.abort(reason);

    for (const { error } of await Promise.all(left)) expect(error).toBe(reason);
    const others = [1, 2, 3].map(() => sandbox.run("3"));
    open();
    expect(await Promise.all([...held, ...others])).toEqual([1, 1, 3, 3, 3]);
  });

  it("refuses a script whose caller has left already", async () => {
    const reason = new Error("gone");

    expect((await sandbox.refusal("1", { signal: AbortSignal.abort(reason) })).error).toBe(reason);
  });

  it("keeps the results of sixty scripts apart", async () => {
    const many = createEngine({ children: 2 });
    const sql = async (_method: string, _text: string, params: unknown) => `[{"n":${String(params)}}]`;
    const job = { caller: "x", timeoutMs: 5000, memoryMb: 32, sql, log: () => undefined };
    const run = (n: number) => {
      const source = `const [row] = sql.query('x', [input.n]); return [row.n, input.n, ${n % 7}]`;
      return many.run({ ...job, source, input: `{"n":${n}}`, signal: new AbortController().signal });
    };

    const results = await Promise.all(Array.from({ length: 60 }, (_, n) => run(n)));

    expect(results).toEqual(Array.from({ length: 60 }, (_, n) => `[${n},${n},${n % 7}]`));
    await many.close();
  });
});

describe("a caller who leaves", () => {
  const sandbox = useSandbox({ children: 2 });
  const reason = new Error("the caller left");

  it("ends a script that waits in sql, and its child lives", async () => {
    const { sql, isEntered } = gate();
    const leaving = new AbortController();
    const refusal = sandbox.refusal("for (;;) sql.query('x')", { sql, signal: leaving.signal });
    await until("the statement runs", isEntered);
    const before = childProcesses();

    leaving.abort(reason);

    expect((await refusal).error).toBe(reason);
    expect(await sandbox.run("1")).toBe(1);
    expect(childProcesses()).toEqual(expect.arrayContaining(before));
  });

  it("ends a script that computes, at once", async () => {
    const leaving = new AbortController();
    const refusal = sandbox.refusal("console.log('here'); for (;;);", { signal: leaving.signal, timeoutMs: 60_000 });
    await until("the script runs", () => sandbox.lines.length > 0);
    const leftAt = performance.now();

    leaving.abort(reason);

    expect((await refusal).error).toBe(reason);
    expect(performance.now() - leftAt).toBeLessThan(1000);
    expect(await sandbox.run("1")).toBe(1);
    await untilQuiet();
  });

  it("ends a script that catches all", async () => {
    const { sql, isEntered } = gate();
    const leaving = new AbortController();
    const refusal = sandbox.refusal("for (;;) try { sql.query('x') } catch {}", {
      sql,
      signal: leaving.signal,
      timeoutMs: 60_000,
    });
    await until("the statement runs", isEntered);

    leaving.abort(reason);

    expect((await refusal).error).toBe(reason);
    await untilQuiet();
    expect(await sandbox.run("1")).toBe(1);
  });

  it("does not hear of the answer that comes later", async () => {
    const { sql, open, isEntered } = gate();
    const leaving = new AbortController();
    const refusal = sandbox.refusal("return sql.execute('x')", { sql, signal: leaving.signal });
    await until("the statement runs", isEntered);
    leaving.abort(reason);
    await refusal;

    const next = sandbox.run("sql.query('SELECT 1')[0].name");
    open();

    expect(await next).toBe("Ada");
  });
});

describe("children", () => {
  it("beyond one end when nothing is to do, and all when the engine closes", async () => {
    const engine = createEngine({ children: 3, idleMs: 200 });
    const job = { input: "{}", caller: "x", timeoutMs: 5000, memoryMb: 16, sql: async () => "1", log: () => undefined };
    await Promise.all(
      ["1", "2", "3"].map((source) => engine.run({ ...job, source, signal: new AbortController().signal })),
    );
    expect(childProcesses().length).toBeGreaterThan(1);

    await until("one is left", () => childProcesses().length === 1);
    await engine.close();

    expect(childProcesses()).toEqual([]);
  });

  it("end with their scripts when the engine closes", async () => {
    const engine = createEngine({ children: 2 });
    const { sql, isEntered } = gate();
    const job = { input: "{}", caller: "x", timeoutMs: 60_000, memoryMb: 16, sql, log: () => undefined };
    const signal = new AbortController().signal;
    const runs = ["sql.query('x')", "for (;;);", "1"].map((source) =>
      engine.run({ ...job, source, signal }).catch((error: unknown) => error),
    );
    await until("one is in sql", isEntered);

    await engine.close();

    const outcomes = await Promise.all(runs);
    expect(outcomes.slice(0, 2)).toEqual([
      expect.objectContaining({ code: "UNAVAILABLE" }),
      expect.objectContaining({ code: "UNAVAILABLE" }),
    ]);
    expect(childProcesses()).toEqual([]);
  });

  it("that crash are replaced, and their script is told", async () => {
    const engine = createEngine({ children: 1 });
    const { sql, isEntered } = gate();
    const job = { input: "{}", caller: "x", timeoutMs: 60_000, memoryMb: 16, log: () => undefined };
    const signal = new AbortController().signal;
    const run = engine.run({ ...job, source: "sql.query('x')", sql, signal }).catch((error: unknown) => error);
    await until("it is in sql", isEntered);

    for (const pid of childProcesses()) process.kill(pid, "SIGABRT"); // as V8 does when it is out of memory

    expect(await run).toMatchObject({ code: "SCRIPT_MEMORY" });
    expect(await engine.run({ ...job, source: "1 + 1", sql, signal })).toBe("2");
    await engine.close();
  });

  it("that hold too much memory between scripts are replaced", async () => {
    const engine = createEngine({ children: 1 });
    const job = {
      input: "{}",
      caller: "x",
      timeoutMs: 5000,
      memoryMb: 256,
      log: () => undefined,
      sql: async () => "1",
    };
    const signal = new AbortController().signal;
    const run = (n: number) =>
      engine.run({ ...job, source: `globalThis.kept = new Uint8Array(1.5e8).fill(${n}); return ${n}`, signal });
    const used = new Set<number>();

    for (let n = 0; n < 12; n++) {
      expect(await run(n)).toBe(String(n));
      for (const pid of childProcesses()) used.add(pid);
    }

    expect(used.size).toBeGreaterThan(2);
    await engine.close();
  });

  it("end when this process is killed", async () => {
    const program = fileURLToPath(new URL("orphan.mjs", import.meta.url));
    const parent = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(parent.stdout, "data"); // a script is in sql
    const orphans = childrenOf(parent.pid ?? 0);
    await until("the other burns", () => childrenOf(parent.pid ?? 0).some((pid) => processorMs(pid) > 400));

    parent.kill("SIGKILL");
    await once(parent, "exit");

    expect(orphans.length).toBeGreaterThan(0);
    await until("they are gone", () => orphans.every((pid) => !isAlive(pid)));
  });

  function childrenOf(parent: number): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => readStat(pid).includes(`) S ${parent} `) || readStat(pid).includes(`) R ${parent} `))
      .map(Number);
  }

  function isAlive(pid: number): boolean {
    const stat = readStat(String(pid));
    return stat !== "" && !stat.includes(") Z ");
  }

  function readStat(pid: string): string {
    try {
      return readFileSync(`/proc/${pid}/stat`, "latin1");
    } catch {
      return ""; // it has ended
    }
  }
});
