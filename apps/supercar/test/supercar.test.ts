import { afterEach, describe, expect, it } from "@jest/globals";
import {
  ask,
  type Launch,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
  until,
} from "@mikcar/devkit";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { services } from "../src/services.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
function folder(): string {
  const { path, remove } = temporaryFolder();
  ends.push(remove);
  return path;
}
async function start(args: readonly string[], env: Launch["env"] = {}): Promise<RunningProgram> {
  const program = await startProgram(BIN, { args: ["--port", "0", ...args], env, cwd: folder() });
  ends.push(() => program.stop("SIGKILL"));
  return program;
}

describe("mikcar", () => {
  it("runs every service on one port on embedded defaults, and tells where", async () => {
    const program = await start(["--all"]);

    const set = await ask(program.url, "/kv/set/greeting", { method: "POST", body: "hello" });
    const put = await ask(program.url, "/storage/object/a/b.txt", { method: "PUT", body: "text" });
    const ready = await ask(program.url, "/ready");

    expect([set.status, put.status]).toEqual([200, 201]);
    expect(Object.keys(ready.json.services).sort()).toEqual(services.map(({ name }) => name).sort());
    expect(program.output()).toMatch(/"prefix":"\/kv","backend":"file","url":"file:\/\/\S+\/data\/kv.lmdb"/);
    expect(program.output()).toContain("STORAGE_URL is not set; using the embedded default");
  });

  it("carries any subset, whose document has those routes alone", async () => {
    const program = await start(["--kv"], { KV_URL: "memory://" });

    const document = await ask(program.url, "/openapi.json");

    expect((await ask(program.url, "/storage/list")).status).toBe(404);
    expect(Object.keys(document.json.paths).filter((path) => path.startsWith("/storage"))).toEqual([]);
  });

  it("ends with code 0 on SIGTERM and keeps what it has acknowledged", async () => {
    const data = folder();
    const first = await start(["--all", "--data", data]);
    await ask(first.url, "/kv/set/k", { method: "POST", body: "v" });
    await ask(first.url, "/storage/object/o", { method: "PUT", body: "w" });

    const ending = await first.stop("SIGTERM");
    const second = await start(["--all", "--data", data]);

    expect(ending.code).toBe(0);
    expect((await ask(second.url, "/kv/get/k")).text).toBe("v");
    expect((await ask(second.url, "/storage/object/o")).text).toBe("w");
  });

  it("asks for its token, from a flag, a variable, the older variable, or a file", async () => {
    const file = join(folder(), "token");
    writeFileSync(file, "t\n");
    const ways: [string[], Launch["env"]][] = [
      [["--auth-token", "t"], {}],
      [[], { SIDECAR_TOKEN: "t", AUTH_TOKEN: "older" }],
      [[], { AUTH_TOKEN: "t" }],
      [[], { SIDECAR_TOKEN_FILE: file }],
    ];
    for (const [args, env] of ways) {
      const { url, output } = await start(["--kv", ...args], { KV_URL: "memory://", ...env });

      expect((await ask(url, "/kv/exists/a")).status).toBe(401);
      expect((await ask(url, "/kv/exists/a", { headers: { Authorization: "Bearer t" } })).status).toBe(200);
      expect(output()).not.toMatch(/"t"/);
    }
  });

  it("warns of a token that is empty, and of one that --no-auth ignores", async () => {
    const empty = await start(["--kv"], { KV_URL: "memory://", SIDECAR_TOKEN: "" });
    const ignored = await start(["--kv", "--no-auth"], { KV_URL: "memory://", SIDECAR_TOKEN: "t" });

    expect(empty.output()).toContain("SIDECAR_TOKEN is set but empty");
    expect(ignored.output()).toContain("--no-auth: the token that is set is ignored");
    expect((await ask(ignored.url, "/kv/exists/a")).status).toBe(200);
  });

  it("says in the log when a URL trades durability away", async () => {
    const { output } = await start(["--kv"], { KV_URL: `file://${folder()}/kv.lmdb?sync=false` });

    expect(output()).toMatch(/"level":"warn".*"service":"kv","msg":"sync=false: /);
  });

  it("has limits, log level and origins from the environment", async () => {
    const env = { KV_URL: "memory://", MAX_BODY_BYTES: "5", CORS_ORIGINS: "https://app.example", LOG_LEVEL: "debug" };
    const { url, output } = await start(["--kv"], env);

    const answer = await ask(url, "/kv/set/a", {
      method: "POST",
      body: "123456",
      headers: { Origin: "https://app.example" },
    });

    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([413, "https://app.example"]);
    await until("the call was logged", () => output().includes('"path":"/kv/set/a"'));
  });
});

describe("two processes on one kv file", () => {
  it("see each other's writes as soon as they are acknowledged", async () => {
    const data = folder();
    const one = await start(["--kv", "--data", data]);
    const two = await start(["--kv", "--data", data]);

    for (let round = 0; round < 100; round++) {
      await ask(one.url, "/kv/set/k", { method: "POST", body: String(round) });

      expect((await ask(two.url, "/kv/get/k")).text).toBe(String(round));
    }
  });
});

describe("mikcar does not start", () => {
  it.each<[string, string[], Record<string, string>, RegExp]>([
    ["no service", [], {}, /no service chosen; say which ones, or --all\n\nUsage: mikcar[\s\S]*--kv/],
    ["an unknown flag", ["--kvv"], {}, /Unknown option '--kvv'; known: .*--storage.*--port/],
    [
      "an unknown scheme",
      ["--kv"],
      { KV_URL: "ridis://u:hush@h" },
      /KV_URL: unknown scheme "ridis"; known: memory, file/,
    ],
    ["a misspelt parameter", ["--kv"], { KV_URL: "memory://?snyc=1" }, /KV_URL: unknown parameter "snyc"/],
    ["a port that is none", ["--kv", "--port", "70000"], {}, /--port is "70000"; expected a port from 0 to 65535/],
    [
      "a variable that is no number",
      ["--kv"],
      { TIMEOUT_SECONDS: "soon" },
      /TIMEOUT_SECONDS is "soon"; expected a number/,
    ],
    ["an unknown log level", ["--kv", "--log-level", "loud"], {}, /--log-level is "loud"; known: error, warn/],
    [
      "a body limit that is no whole number",
      ["--kv"],
      { MAX_BODY_BYTES: "1.5" },
      /MAX_BODY_BYTES is "1.5"; expected a whole number/,
    ],
    ["a public URL that is none", ["--kv"], { PUBLIC_URL: "junk" }, /PUBLIC_URL is "junk"; expected http/],
    ["a token with a space", ["--kv", "--auth-token", "a b"], {}, /the token holds white space/],
    ["a token without scopes", ["--kv"], { SIDECAR_TOKENS: '{"hush": {}}' }, /SIDECAR_TOKENS: entry 1: scopes/],
    ["an origin with a path", ["--kv"], { CORS_ORIGINS: "https://a/b" }, /CORS_ORIGINS: "https:\/\/a\/b" is no origin/],
    [
      "--strict and an unset URL",
      ["--kv", "--strict"],
      {},
      /KV_URL is not set, and --strict allows no embedded default/,
    ],
    ["MIKCAR_STRICT and an unset URL", ["--kv"], { MIKCAR_STRICT: "1" }, /KV_URL is not set/],
    [
      "an open address without a token",
      ["--kv", "--host", "0.0.0.0"],
      { KV_URL: "memory://" },
      /set a token .*--no-auth/,
    ],
    [
      "a host that is not ours",
      ["--kv", "--host", "192.0.2.1", "--auth-token", "t"],
      { KV_URL: "memory://" },
      /is no address of this machine/,
    ],
    ["a folder that is a file", ["--all", "--data", BIN], {}, /\(ENOTDIR\)/],
  ])("with %s, and says what to do", async (_what, args, env, message) => {
    const { code, stderr, stdout } = await runProgram(BIN, { args, env, cwd: folder() });

    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("hush");
    expect([code, stdout.includes("listening")]).toEqual([1, false]);
  });

  it("on a folder of objects that another process serves, which goes on undisturbed", async () => {
    const data = folder();
    const first = await start(["--storage", "--data", data]);

    const second = await runProgram(BIN, { args: ["--storage", "-p", "0", "--data", data] });
    const put = await ask(first.url, "/storage/object/a", { method: "PUT", body: "b" });
    await first.stop("SIGKILL");
    const third = await start(["--storage", "--data", data]);

    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining(`is in use by process ${first.pid}`)]);
    expect(put.status).toBe(201);
    expect((await ask(third.url, "/storage/object/a")).text).toBe("b");
  });

  it("on a port that is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    ends.push(() => other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const port = String((other.address() as AddressInfo).port);

    const { code, stderr } = await runProgram(BIN, { args: ["--kv", "-p", port], env: { KV_URL: "memory://" } });

    expect([code, stderr]).toEqual([1, expect.stringContaining(`port ${port} on 127.0.0.1 is already in use`)]);
  });
});

describe("mikcar tells", () => {
  it("its flags on one screen", async () => {
    const { code, stdout } = await runProgram(BIN, { args: ["--help"] });

    const lines = stdout.trimEnd().split("\n");
    expect(code).toBe(0);
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const { name, env } of services) expect(stdout).toMatch(new RegExp(`--${name} .*${env}`));
  });

  it("its version", async () => {
    expect((await runProgram(BIN, { args: ["--version"] })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("with --check what each service would use, and whether it answers", async () => {
    const good = await runProgram(BIN, { args: ["--all", "--check"], cwd: folder() });
    const bad = await runProgram(BIN, {
      args: ["--all", "--check"],
      env: { KV_URL: "nope://u:hush@h", HOST: "0.0.0.0" },
      cwd: folder(),
    });

    expect([good.code, good.stdout.match(/ ok /g)?.length]).toEqual([0, services.length]);
    expect([bad.code, bad.stdout]).toEqual([1, expect.stringMatching(/kv\s+wrong\s+KV_URL: unknown scheme "nope"/)]);
    expect(bad.stdout).toMatch(/server\s+wrong\s+without a token only loopback is safe/);
    expect(bad.stdout).not.toContain("hush");
  });
});
