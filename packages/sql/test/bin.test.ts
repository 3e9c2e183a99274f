/** The program `mikcar-sql` as a user starts it. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import {
  type Answer,
  ask,
  type Ending,
  runProgram,
  type RunningProgram,
  startProgram,
  temporaryFolder,
} from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
const running: RunningProgram[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  for (const program of running.splice(0)) await program.stop("SIGKILL");
  folder.remove();
});

/** Without a URL it would make its data folder in the working folder. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
  return runProgram(BIN, { args, env, cwd: folder.path });
}

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  const program = await startProgram(BIN, { args: ["--port", "0", ...args], env, cwd: folder.path });
  running.push(program);
  return program;
}

function post({ url }: RunningProgram, route: string, body: unknown): Promise<Answer> {
  const headers = { "Content-Type": "application/json" };
  return ask(url, `/sql/${route}`, { method: "POST", headers, body: JSON.stringify(body) });
}

it.each<[string, readonly string[], Readonly<Record<string, string>>, RegExp]>([
  [
    "an unknown scheme",
    [],
    { DATABASE_URL: "mysql://u:hush@h/d" },
    /^mikcar-sql: DATABASE_URL: unknown scheme "mysql".*postgres, .*sqlite/,
  ],
  ["a misspelt parameter", [], { DATABASE_URL: "postgres://h/d?pol=1" }, /DATABASE_URL: unknown parameter "pol".*pool/],
  [
    "a misspelt parameter of a file",
    [],
    { DATABASE_URL: "sqlite://./a.db?reders=1" },
    /unknown parameter "reders".*readers/,
  ],
  ["a number that is none", [], { DATABASE_URL: "sqlite://./a.db?readers=x" }, /"readers" is "x"/],
  [
    "a limit that is none",
    [],
    { SQL_SCRIPT_TIMEOUT_MS: "soon" },
    /^mikcar-sql: SQL_SCRIPT_TIMEOUT_MS is "soon"; expected/,
  ],
  [
    "a limit below the least",
    [],
    { SQL_SCRIPT_MEMORY_MB: "1" },
    /^mikcar-sql: SQL_SCRIPT_MEMORY_MB is "1"; expected an integer from 8/,
  ],
  ["no URL where --strict asks for one", ["--strict"], {}, /DATABASE_URL is not set/],
])("exits 1 with a sentence for %s", async (_name, args, env, sentence) => {
  const { code, stdout, stderr } = await run(args, env);

  expect([code, stdout, stderr]).toEqual([
    1,
    expect.not.stringContaining("listening"),
    expect.stringMatching(sentence),
  ]);
  expect(stderr).not.toMatch(/^\s+at |hush/m);
});

it("exits 1 for a file that is no database, and leaves it as it is", async () => {
  writeFileSync(`${folder.path}/sql.db`, "my notes, and more of them than a header has".repeat(50));

  const { code, stderr } = await run(["--data", folder.path]);

  expect([code, stderr]).toEqual([1, expect.stringMatching(/^mikcar-sql: DATABASE_URL: .*sql\.db/)]);
  expect(readFileSync(`${folder.path}/sql.db`, "utf8")).toMatch(/^my notes/);
});

it("exits 1 when a folder stands where the file should", async () => {
  mkdirSync(`${folder.path}/sql.db`);

  expect(await run(["--data", folder.path])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/DATABASE_URL: /),
  });
});

it("explains itself in 24 lines of 80 characters", async () => {
  const { code, stdout } = await run(["--help"]);

  const lines = stdout.trimEnd().split("\n");
  expect([code, stdout]).toEqual([0, expect.stringContaining("DATABASE_URL")]);
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
});

it("checks its configuration: a database that answers, and one that does not", async () => {
  const well = await run(["--check", "--data", folder.path]);
  const away = await run(["--check"], { DATABASE_URL: "postgres://u:hush@127.0.0.1:1/d" });

  expect([well.code, well.stdout]).toEqual([0, expect.stringMatching(/^sql +ok +sqlite:\/\/.*sql\.db/)]);
  expect([away.code, away.stdout]).toEqual([
    1,
    expect.stringMatching(/^sql +down +postgres:\/\/u:\*\*\*@127\.0\.0\.1:1\/d/),
  ]);
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGKILL"])("finds its data again after %s", async (signal) => {
  const first = await start(["--data", folder.path]);
  await post(first, "execute", { sql: "CREATE TABLE t (a INTEGER)" });
  await post(first, "script", { script: 'sql.execute("INSERT INTO t VALUES (1)")' });
  expect((await post(first, "execute", { sql: "INSERT INTO t VALUES (2)" })).status).toBe(200);

  const { code } = await first.stop(signal);
  const second = await start(["--data", folder.path]);

  expect(code).toBe(signal === "SIGKILL" ? null : 0);
  expect((await post(second, "query", { sql: "SELECT a FROM t ORDER BY a" })).json.rows).toEqual([{ a: 1 }, { a: 2 }]);
});

it("tells no password, text or parameter in its log", async () => {
  const program = await start(["--log-level", "debug"], { DATABASE_URL: "postgres://u:hush-1@127.0.0.1:1/d" });

  await post(program, "query", { sql: "SELECT 'hush-2', $1", params: ["hush-3"] });

  await program.stop();
  expect(program.output()).toContain('"kind":"SELECT"');
  expect(program.output()).not.toMatch(/hush/);
});
