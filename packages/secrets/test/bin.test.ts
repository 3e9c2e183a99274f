/** The program `mikcar-secrets` as a user starts it. */

import { readdirSync, readFileSync } from "node:fs";
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
  until,
} from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const KEY = "ab".repeat(32);
const NEW_KEY = "cd".repeat(32);

let folder: ReturnType<typeof temporaryFolder>;
const running: RunningProgram[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  for (const program of running.splice(0)) await program.stop("SIGKILL");
  folder.remove();
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  const args = ["--port", "0", "--data", folder.path, "--log-level", "debug"];
  const program = await startProgram(BIN, { args, env, cwd: folder.path });
  running.push(program);
  return program;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
  return runProgram(BIN, { args, env, cwd: folder.path });
}

function create(url: string, name: string, value = "v4lu3"): Promise<Answer> {
  const headers = { "Content-Type": "application/json" };
  return ask(url, `/secrets/secret/${name}`, { method: "POST", headers, body: JSON.stringify({ value }) });
}

it.each<[string, Readonly<Record<string, string>>, RegExp]>([
  [
    "an unknown scheme",
    { SECRETS_URL: "keychain://x" },
    /SECRETS_URL: unknown scheme "keychain".*memory, env, file, vault/,
  ],
  [
    "an unknown parameter",
    { SECRETS_URL: "vault://127.0.0.1?tokn=hush&token=hush" },
    /unknown parameter "tokn".*token/,
  ],
  ["no way into Vault", { SECRETS_URL: "vault://127.0.0.1" }, /SECRETS_URL: vault: set VAULT_TOKEN/],
  ["a key that is none", { SECRETS_KEY: "hush" }, /^mikcar-secrets: SECRETS_KEY: expected 32 bytes/],
  ["a file that is a folder", { SECRETS_URL: "file:///tmp/" }, /expected the path of a file/],
  ["a cache of words", { SECRETS_CACHE_SECONDS: "soon" }, /^mikcar-secrets: SECRETS_CACHE_SECONDS is "soon"/],
])("exits 1 with a sentence for %s", async (_name, env, sentence) => {
  const { code, stdout, stderr } = await run([], env);

  expect([code, stderr]).toEqual([1, expect.stringMatching(sentence)]);
  expect(stderr + stdout).not.toMatch(/^\s+at |hush|listening/m);
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGKILL"])("finds its secrets again after %s", async (signal) => {
  const first = await start();
  await create(first.url, "a");

  await first.stop(signal);
  const second = await start();

  expect((await ask(second.url, "/secrets/secret/a")).json.value).toBe("v4lu3");
  expect(readdirSync(folder.path).toSorted()).toEqual(["secrets.enc", "secrets.enc.key"]);
  expect(first.output() + second.output()).not.toContain("v4lu3");
  expect(first.output() + second.output()).not.toContain(readFileSync(`${folder.path}/secrets.enc.key`, "utf8").trim());
});

it("changes its key, and a program on the key file goes on", async () => {
  const program = await start();
  await create(program.url, "a");

  const { code, stdout } = await run(["rekey", "--data", folder.path]);

  expect([code, stdout]).toEqual([0, expect.stringMatching(/has a new key, in ".*secrets\.enc\.key"; keep a copy/)]);
  expect((await ask(program.url, "/secrets/secret/a")).json.value).toBe("v4lu3");
});

it("changes a key that comes in a variable", async () => {
  await create((await start({ SECRETS_KEY: KEY })).url, "a");

  const { code, stdout } = await run(["rekey", "--data", folder.path], { SECRETS_KEY: KEY, NEW_SECRETS_KEY: NEW_KEY });

  expect([code, stdout]).toEqual([0, expect.stringContaining("set SECRETS_KEY to it from now on")]);
  expect((await run(["--data", folder.path], { SECRETS_KEY: KEY })).stderr).toContain("encrypted with another key");
  expect((await ask((await start({ SECRETS_KEY: NEW_KEY })).url, "/secrets/secret/a")).json.value).toBe("v4lu3");
});

it.each<[string, Readonly<Record<string, string>>, RegExp]>([
  ["there is no file", {}, /secrets\.enc" cannot be read \(ENOENT\); is SECRETS_URL right/],
  ["it is no file", { SECRETS_URL: "memory:" }, /SECRETS_URL: only a file has a key of ours/],
])("exits 1 with a sentence when the key is to change and %s", async (_what, env, sentence) => {
  const { code, stderr } = await run(["rekey", "--data", folder.path], env);

  expect([code, stderr]).toEqual([1, expect.stringMatching(sentence)]);
});

it("tells of rekey in its help, which fits a screen", async () => {
  const { code, stdout } = await run(["--help"]);

  const lines = stdout.trimEnd().split("\n");
  expect([code, lines[0]]).toEqual([
    0,
    "Usage: mikcar-secrets [options], or mikcar-secrets rekey, or mikcar-secrets init",
  ]);
  expect(stdout).toMatch(/^ {2}rekey +give the encrypted file a new key \(NEW_SECRETS_KEY\)$/m);
  expect([lines.length <= 24, Math.max(...lines.map((line) => line.length)) <= 80]).toEqual([true, true]);
});

it("starts while Vault is away, and says so", async () => {
  const program = await start({ SECRETS_URL: "vault://127.0.0.1:1?token=hush" });

  const answers = [await ask(program.url, "/secrets/secret/a"), await ask(program.url, "/ready")];

  expect(answers.map(({ status }) => status)).toEqual([503, 503]);
  await until("the log tells", () => program.output().includes("no answer from Vault"));
  expect(program.output()).not.toContain("hush");
});

it("checks its key without a word of it", async () => {
  const { code, stdout } = await run(["--check", "--data", folder.path], { SECRETS_KEY: KEY });

  expect([code, stdout]).toEqual([0, expect.stringMatching(/^secrets +ok +file:/)]);
  expect(stdout).not.toContain(KEY);
});
