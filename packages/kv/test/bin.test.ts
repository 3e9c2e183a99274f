/** The program `mikcar-kv` as a user starts it. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, type Ending, runProgram, type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const VERSION = (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
  .version; // npm requires it of every package

let folder: ReturnType<typeof temporaryFolder>;
let running: RunningProgram | undefined;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await running?.stop("SIGKILL");
  running = undefined;
  folder.remove();
});

/** Without a URL it would make its data folder in the working folder. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
  return runProgram(BIN, { args, env, cwd: folder.path });
}

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  running = await startProgram(BIN, { args: ["--port", "0", ...args], env, cwd: folder.path });
  return running;
}

it.each<[string, readonly string[], Readonly<Record<string, string>>, RegExp]>([
  ["an unknown flag", ["--prot", "1"], {}, /--prot.*known:.*--port/s],
  ["a word that is no flag", ["serve"], {}, /serve/],
  ["a port that is none", ["--port", "99999"], {}, /--port is "99999"/],
  ["an unknown scheme", [], { KV_URL: "etcd://:hush@host" }, /KV_URL: unknown scheme "etcd".*memory, file/],
  ["no URL at all", [], { KV_URL: "nonsense" }, /KV_URL: not a URL/],
  ["a parameter that memory has not", [], { KV_URL: "memory://?x=1" }, /KV_URL: unknown parameter "x".*known/],
  ["a misspelt parameter of a file", [], { KV_URL: "file://./kv.lmdb?snyc=1" }, /unknown parameter "snyc".*sync/],
  ["a value that is no flag", [], { KV_URL: "file://./kv.lmdb?sync=maybe" }, /"sync" is "maybe"/],
  ["a data folder below /proc", ["--data", "/proc/x"], {}, /KV_URL: "\/proc\/x\/kv.lmdb" cannot be used/],
  ["a file that KV_URL_FILE names and is absent", [], { KV_URL_FILE: "/nowhere" }, /KV_URL_FILE: cannot read/],
  ["a URL both ways", [], { KV_URL: "memory:", KV_URL_FILE: "/nowhere" }, /KV_URL and KV_URL_FILE/],
  ["no URL where --strict asks for one", ["--strict"], {}, /KV_URL is not set/],
  ["a foreign address without a token", ["--host", "0.0.0.0"], { KV_URL: "memory:" }, /token/],
])("exits 1 with a sentence for %s", async (_name, args, env, sentence) => {
  const { code, stdout, stderr } = await run(args, env);

  expect(code).toBe(1);
  expect(stderr).toMatch(sentence);
  expect(stderr).toMatch(/^mikcar-kv: /);
  expect(stderr).not.toMatch(/^\s+at |hush/m);
  expect(stdout).not.toContain("listening");
});

it("exits 1 when the data folder would lie below a file", async () => {
  writeFileSync(`${folder.path}/file`, "mine");

  const { code, stderr } = await run(["--data", `${folder.path}/file`]);

  expect([code, stderr]).toEqual([1, expect.stringMatching(/file" is a file; choose a folder/)]);
  expect(readFileSync(`${folder.path}/file`, "utf8")).toBe("mine");
});

it("exits 1 when a folder stands where the file should", async () => {
  mkdirSync(`${folder.path}/kv.lmdb`);

  const { code, stderr } = await run(["--data", folder.path]);

  expect([code, stderr]).toEqual([1, expect.stringContaining("is a folder")]);
});

it("exits 1 when the port is in use, and says so", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo; // it listens on TCP

  const { code, stderr } = await run(["--port", String(port)], { KV_URL: "memory:" });

  other.close();
  expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`port ${port} .*in use.*--port`))]);
});

it("reads its URL from the file that KV_URL_FILE names", async () => {
  writeFileSync(`${folder.path}/url`, "memory://\n");

  const program = await start([], { KV_URL_FILE: `${folder.path}/url` });

  expect((await ask(program.url, "/kv/exists/a")).json).toEqual({ exists: false });
  expect(program.output()).toContain('"backend":"memory"');
});

it("explains itself in 24 lines of 80 characters", async () => {
  const { code, stdout } = await run(["--help"]);

  const lines = stdout.trimEnd().split("\n");
  expect(code).toBe(0);
  expect(stdout).toContain("KV_URL");
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
});

it("tells its version", async () => {
  expect(await run(["--version"])).toMatchObject({ code: 0, stdout: `${VERSION}\n` });
});

it("checks its configuration and exits 0 when all is well", async () => {
  const { code, stdout } = await run(["--check", "--data", folder.path]);

  expect([code, stdout]).toEqual([0, expect.stringMatching(/^kv +ok +file:\/\/.*kv\.lmdb/)]);
});

it("checks its configuration and exits 1 when it cannot work, and leaves what is there", async () => {
  writeFileSync(`${folder.path}/kv.lmdb`, "not LMDB");

  const { code, stdout } = await run(["--check", "--data", folder.path]);

  expect([code, stdout]).toEqual([1, expect.stringMatching(/^kv +wrong +.*no LMDB file/)]);
  expect(readFileSync(`${folder.path}/kv.lmdb`, "utf8")).toBe("not LMDB");
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGINT"])("exits 0 on %s and finds its data again", async (signal) => {
  const first = await start(["--data", folder.path]);
  await ask(first.url, "/kv/set/a", { method: "POST", body: "kept" });

  const { code } = await first.stop(signal);
  const second = await start(["--data", folder.path]);

  expect(code).toBe(0);
  expect((await ask(second.url, "/kv/get/a")).text).toBe("kept");
});

it("asks for the token it was given", async () => {
  const program = await start([], { KV_URL: "memory:", SIDECAR_TOKEN: "hush" });

  const headers = { Authorization: "Bearer hush" };
  expect((await ask(program.url, "/kv/exists/a")).status).toBe(401);
  expect((await ask(program.url, "/kv/exists/a", { headers })).status).toBe(200);
  expect(program.output()).not.toContain("hush");
});

it("says in the log where the data is, and that the URL was not set", async () => {
  const program = await start(["--data", `${folder.path}/new`]);

  expect(program.output()).toContain("KV_URL is not set");
  expect(program.output()).toContain(`file://${folder.path}/new/kv.lmdb`);
});
