/** The program `mikcar-queue` as a user starts it. */

import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, runProgram, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";

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

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  const program = await startProgram(BIN, { args: ["--port", "0", ...args], env, cwd: folder.path });
  running.push(program);
  return program;
}

it.each<[string, string, RegExp]>([
  ["an unknown scheme", "kafka://:hush@host", /QUEUE_URL: unknown scheme "kafka".*memory, file/],
  ["an unknown parameter", "memory://?x=1", /QUEUE_URL: unknown parameter "x".*max_deliveries/],
  ["a number that is none", "memory://?max_deliveries=0", /"max_deliveries" is "0".*1 to 1000/],
  ["a misspelt parameter of a file", "file://./q.lmdb?snyc=1", /unknown parameter "snyc".*sync/],
  ["a database that is none", "redis://:hush@127.0.0.1/x", /QUEUE_URL: redis: the path is "x"/],
  ["a CA file that is not there", "rediss://127.0.0.1?ca=/nowhere", /QUEUE_URL: .*"ca".*"\/nowhere"/],
])("exits 1 with a sentence for %s", async (_name, url, sentence) => {
  const { code, stdout, stderr } = await runProgram(BIN, { env: { QUEUE_URL: url }, cwd: folder.path });

  expect([code, stderr]).toEqual([1, expect.stringMatching(sentence)]);
  expect(stderr).not.toMatch(/^\s+at |hush/m);
  expect(stdout).not.toContain("listening");
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGKILL"])("finds its messages again after %s", async (signal) => {
  const first = await start(["--data", folder.path]);
  await ask(first.url, "/queue/push/a", { method: "POST", body: "kept" });

  const { code } = await first.stop(signal);
  const second = await start(["--data", folder.path]);

  expect(code).toBe(signal === "SIGKILL" ? null : 0);
  expect((await ask(second.url, "/queue/pop/a")).json.message.payload).toEqual({ data: "kept" });
});

it("answers its polls at once when it is told to end", async () => {
  const program = await start([], { QUEUE_URL: "memory:" });
  const poll = ask(program.url, "/queue/pop/a?timeout=60");
  const other = ask(program.url, "/queue/subscribe/a?timeout=60");
  await ask(program.url, "/queue/pop/a?timeout=0.1"); // by then the others wait

  const begin = performance.now();
  const { code } = await program.stop();

  expect([code, (await poll).json.message, (await other).json.count]).toEqual([0, null, 0]);
  expect(performance.now() - begin).toBeLessThan(5000);
});

it("starts while Redis is away, and says so", async () => {
  const program = await start([], { QUEUE_URL: "redis://:hush@127.0.0.1:1" });

  const push = await ask(program.url, "/queue/push/a", { method: "POST", body: "1" });
  const ready = await ask(program.url, "/ready");

  expect([push.status, push.json.code, ready.status]).toEqual([503, "UNAVAILABLE", 503]);
  await until("the log tells", () => program.output().includes("127.0.0.1:1"));
  expect(program.output()).not.toContain("hush");
});
