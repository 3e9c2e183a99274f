/** The program `mikcar-email` as a user starts it. */

import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, runProgram, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";
import { HELLO } from "./client.ts";
import { startMailServer } from "./mail-server.ts";

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

function send(url: string): ReturnType<typeof ask> {
  const headers = { "Content-Type": "application/json" };
  return ask(url, "/email/send", { method: "POST", headers, body: JSON.stringify(HELLO) });
}

it.each<[string, string, RegExp]>([
  ["an unknown scheme", "imap://:hush@host", /EMAIL_URL: unknown scheme "imap".*memory, file, smtp, smtps/],
  ["a parameter that memory has not", "memory://?x=1", /EMAIL_URL: unknown parameter "x"/],
  ["a misspelt parameter", "smtp://a:hush@host?conections=1", /unknown parameter "conections".*connections.*starttls/],
  ["no host", "smtp://", /EMAIL_URL: smtp: the host is missing/],
  ["a path", "smtp://host/x", /EMAIL_URL: smtp: a path has no meaning/],
  ["a port that is none", "smtp://host:0", /the port is 0/],
  ["a user without a password", "smtp://hush@host", /EMAIL_URL: smtp: a login has both/],
  ["a password without a user", "smtp://:hush@host", /EMAIL_URL: smtp: a login has both/],
  ["a CA file that is not there", "smtps://host?ca=/nowhere", /EMAIL_URL: .*"ca".*"\/nowhere"/],
  ["a CA where no TLS is", "smtp://host:25?ca=/nowhere", /unknown parameter "ca"/],
  ["STARTTLS where TLS is", "smtps://host?starttls=true", /unknown parameter "starttls"/],
  ["a number that is none", "smtp://host?connections=0", /"connections" is "0".*1 to 100/],
  ["a name that is none", "smtp://host?name=a%0D%0Ab", /"name": expected a host name/],
  ["a folder that cannot be", "file:///proc/x", /EMAIL_URL: cannot use the folder \/proc\/x/],
  ["no folder", "file:", /EMAIL_URL: file: the folder is missing/],
])("exits 1 with a sentence for %s", async (_name, url, sentence) => {
  const { code, stdout, stderr } = await runProgram(BIN, { env: { EMAIL_URL: url }, cwd: folder.path });

  expect([code, stderr]).toEqual([1, expect.stringMatching(sentence)]);
  expect(stderr).not.toMatch(/^\s+at |hush/m);
  expect(stdout).not.toContain("listening");
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGKILL"])("finds its outbox again after %s", async (signal) => {
  const first = await start(["--data", folder.path]);
  const { json } = await send(first.url);

  const { code } = await first.stop(signal);
  const second = await start(["--data", folder.path]);

  expect(code).toBe(signal === "SIGKILL" ? null : 0);
  expect((await ask(second.url, `/email/outbox/${json.id}`)).json.subject).toBe(HELLO.subject);
  expect(second.output()).toContain(`file://${folder.path}/outbox`);
});

it("starts while the mail server is away, says so, and never shows the password", async () => {
  const program = await start([], { EMAIL_URL: "smtp://user:hush:hush@127.0.0.1:1?starttls=false" });

  const sent = await send(program.url);
  const ready = await ask(program.url, "/ready");

  expect([sent.status, sent.json.success, ready.status]).toEqual([503, false, 503]);
  await until("the log tells", () => program.output().includes("ECONNREFUSED"));
  expect(program.output()).not.toContain("hush");
});

it("warns when a password would travel in the clear", async () => {
  const program = await start([], { EMAIL_URL: "smtp://user:hush@mail.example.org:25" });

  expect(program.output()).toContain("travels in the clear");
});

it("ends at once when it is told to, with connections open", async () => {
  const server = await startMailServer();
  const program = await start([], { EMAIL_URL: `smtp://127.0.0.1:${server.port}?starttls=false` });
  await send(program.url);

  const begin = performance.now();
  const { code } = await program.stop();

  expect([code, server.received.length]).toEqual([0, 1]);
  expect(performance.now() - begin).toBeLessThan(5000);
  await server.stop();
});
