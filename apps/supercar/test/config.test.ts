/** `--config`, its schema, `init`, and where `--check` says that a setting is from. */

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import {
  ask,
  type Ending,
  type Launch,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
  until,
} from "@mikcar/devkit";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const SCHEMA = createRequire(import.meta.url).resolve("@mikcar/supercar/config.schema.json");
const isValid = new Ajv2020({ allowUnionTypes: true }).compile(JSON.parse(readFileSync(SCHEMA, "utf8")));

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

function write(text: string, name = "mikcar.yaml"): string {
  writeFileSync(join(folder.path, name), text);
  return name;
}

function run(args: readonly string[], env: Launch["env"] = {}): Promise<Ending> {
  return runProgram(BIN, { args, env, cwd: folder.path });
}

async function start(args: readonly string[], env: Launch["env"] = {}): Promise<RunningProgram> {
  running = await startProgram(BIN, { args, env, cwd: folder.path });
  return running;
}

/** What `--check` says of each setting: its value, and where it is from. */
async function origins(args: readonly string[], env: Launch["env"] = {}): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await run(["--check", ...args], env);
  const rows = stdout.split("\n\n")[1]?.split("\n") ?? [];
  return Object.fromEntries(
    rows.map((row) => row.split(/ {2,}/)).map(([name = "", ...rest]) => [name, rest.join(" | ")]),
  );
}

/** 10^9 values. */
const bomb = Array.from(
  { length: 9 },
  (_, level) =>
    `a${level}: &a${level} [${Array.from({ length: 10 }, () => (level === 0 ? "x" : `*a${level - 1}`)).join(", ")}]`,
).join("\n");

describe("a configuration file", () => {
  it("says all that flags and variables say, in YAML or JSON", async () => {
    const content = {
      services: ["kv", "sql"],
      port: 0,
      kv_url: "memory:",
      tokens: { reader: { scopes: ["kv:read", "sql"] } },
      timeout_seconds: 12.5,
      env: { SQL_SCRIPT_MAX_QUERIES: 2 },
    };
    for (const name of [
      write(JSON.stringify(content), "a.json"),
      write(
        "services: [kv, sql]\nport: 0\nkv_url: 'memory:'\ntokens:\n  reader: {scopes: [kv:read, sql]}\nenv: {SQL_SCRIPT_MAX_QUERIES: 2}\n",
      ),
    ]) {
      const { url } = await start(["--config", name]);
      const headers = { Authorization: "Bearer reader", "Content-Type": "application/json" };
      const script = "sql.query('SELECT 1'); sql.query('SELECT 1'); return sql.query('SELECT 1')";

      const limited = await ask(url, "/sql/script", { method: "POST", headers, body: JSON.stringify({ script }) });

      expect((await ask(url, "/kv/exists/a", { headers })).json).toEqual({ exists: false });
      expect((await ask(url, "/kv/set/a", { method: "POST", headers, body: "1" })).status).toBe(403);
      expect((await ask(url, "/storage/list", { headers })).status).toBe(404);
      expect(limited.json.error).toContain("more than 2 statements");
      await running?.stop();
    }
  });

  it("is below the environment, and that below flags; --check tells which it was", async () => {
    const name = write("services: [kv]\nport: 4001\nkv_url: 'memory:'\nlog_level: debug\n");
    const config = ["--config", name];

    expect(await origins(config)).toMatchObject({
      port: "4001 | mikcar.yaml: port",
      host: "127.0.0.1 | default",
      services: "kv | mikcar.yaml: services",
    });
    expect((await origins([], { MIKCAR_CONFIG: name, PORT: "4002" }))["port"]).toBe("4002 | PORT");
    expect(await origins([...config, "--port", "4003", "--sql"], { PORT: "4002" })).toMatchObject({
      port: "4003 | --port",
      services: "sql | flags",
      log_level: "debug | mikcar.yaml: log_level",
    });
  });

  it("gives way to any variable that says the same: another name, or a file", async () => {
    write("hush-of-file\n", "token");
    write("memory:", "url");
    const name = write("services: [kv]\nauth_token: hush-of-config\nkv_url: s4://wrong\n");
    const env = { AUTH_TOKEN: "hush-of-environment", KV_URL_FILE: "url", PORT: "0" };

    const { url } = await start(["--config", name], env);

    const headers = { Authorization: "Bearer hush-of-environment" };
    expect((await ask(url, "/kv/exists/a", { headers })).json).toEqual({ exists: false });
    expect(await origins(["--config", name], env)).toMatchObject({
      auth_token: "(set) | AUTH_TOKEN",
      kv_url: "(set) | KV_URL_FILE",
    });
    const others = write("env: {SECRETS_KEY_FILE: none, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: wrong}\n", "others.yaml");
    const both = { SECRETS_KEY: "k".repeat(43), OTLP_ENDPOINT: "http://localhost:1" };
    const { stdout, stderr } = await run(["--check", "--secrets", "--config", others], both);
    expect([stdout, stderr]).toEqual([expect.not.stringContaining("both set"), ""]);
    const other = ["--config", write("auth_token_file: token\n", "b.yaml"), "--kv"];
    expect((await origins(other))["auth_token"]).toBe("(set) | b.yaml: auth_token_file");
    expect((await run(["--check", "--config", name])).stdout).not.toContain("hush");
  });

  it("holds for every worker", async () => {
    const { url } = await start(["--config", write("services: [kv]\nport: 0\nworkers: 2\nauth_token: hush\n")]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(url, "/kv/exists/a")));

    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 401));
  });

  it("gives workers the port beside a socket, and is not read again for one that takes the place of another", async () => {
    const text = (port: number): string =>
      `services: [kv]\nport: ${port}\nsocket: s.sock\nworkers: 2\nauth_token: hush\n`;
    const { url, pid } = await start(["--config", write(text(0))]);
    write("services: [nothing]\n");
    const worker = (): number =>
      Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").find(Boolean) ?? 0);
    const first = worker();
    process.kill(first, "SIGKILL");
    const socketPath = join(folder.path, "s.sock");
    const both = async (): Promise<unknown> => [
      (await ask(url, "/kv/exists/a")).status,
      (await ask("http://localhost", "/kv/exists/a", { socketPath })).status,
    ];

    await until("another one takes its place", () => worker() !== first && worker() !== 0);
    expect(await both()).toEqual([401, 401]);
    expect(running?.output()).not.toContain("nothing");
  });

  it("does not open what a flag or a variable gives a token", async () => {
    const config = ["--config", write("services: [kv]\nno_auth: true\nport: 0\n")];
    expect((await origins(config))["no_auth"]).toBe("true | mikcar.yaml: no_auth");
    expect((await origins([...config, "--auth-token", "hush"]))["no_auth"]).toBe("false | default");

    const { url } = await start(config, { SIDECAR_TOKENS: '{"t": {"scopes": ["kv"]}}' });

    expect((await ask(url, "/kv/exists/a")).status).toBe(401);
  });

  it.each([
    ["an unknown key", "portt: 3", /^mikcar: c\.yaml: unknown key "portt"; known: services, port, /],
    ["a wrong type", "port: hush", /^mikcar: c\.yaml: port: /],
    ["a service that there is not", "services: [kvv]", /^mikcar: c\.yaml: services: /],
    ["an odd variable", "env: {hush-1: 2}", /^mikcar: c\.yaml: env/],
    ["no map", "- hush", /^mikcar: c\.yaml: the file: /],
    ["neither YAML nor JSON", "port: 3\nauth_token: [hush", /^mikcar: c\.yaml: line 2 is neither JSON nor YAML/],
    ["aliases that explode", bomb, /^mikcar: c\.yaml: an alias \(\*name\) leads nowhere[^\n]*\n$/],
    ["an alias of nothing", "port: *hush", /^mikcar: c\.yaml: an alias [^\n]*\n$/],
    ["an alias within itself", "tokens: &a {x: *a}", /^mikcar: c\.yaml: an alias [^\n]*\n$/],
    ["a token without its grant", "tokens: {hush: 1}", /^mikcar: c\.yaml: tokens: Invalid input/],
    ["a key given twice", "port: 3\nport: 4", /^mikcar: c\.yaml: line 2 is neither/],
    ["a token with white space", "services: [kv]\nauth_token: hu sh", /^mikcar: the token holds white space/],
  ])("is refused with %s, and changes nothing", async (_what, text, message) => {
    const { code, stderr } = await run(["--config", write(text, "c.yaml")]);

    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/hu ?sh(?!-1)/);
  });

  it("must be there", async () => {
    expect((await run(["--config", "none.yaml"])).stderr).toBe('mikcar: --config: cannot read "none.yaml" (ENOENT)\n');
  });
});

describe("the schema", () => {
  it.each([
    ["", true],
    ["services: all\nport: 1\nhost: h\nworkers: 0\nstrict: true\nenv: {A: 1, B: x, C: true}", true],
    ["services: []", false],
    ["port: 70000", false],
    ["log_level: loud", false],
    ["portt: 1", false],
    ["kv_url_file: /run/secrets/kv", true],
    ["tokens: {t: {scopes: [kv]}}", true],
    ["env: {a: 1}", false],
  ])("and the program agree on %j: %p", async (text, expected) => {
    const { stderr } = await run(["--kv", "--check", "--config", write(text)], { KV_URL: "memory:" });

    expect(isValid(parse(text) ?? {})).toBe(expected);
    expect(!stderr.includes("mikcar.yaml: ")).toBe(expected);
  });
});

describe("init", () => {
  it("writes a file that starts everything on embedded defaults", async () => {
    const { code, stdout } = await run(["init"]);
    expect([code, stdout]).toEqual([0, "mikcar.yaml is written; start with: mikcar --config mikcar.yaml\n"]);

    const { url } = await start(["--config", "mikcar.yaml", "--port", "0"]);

    expect(Object.keys((await ask(url, "/ready")).json.services)).toHaveLength(6);
  });

  it("explains every key with an example that is valid", async () => {
    await run(["init", "--config", "mine.yaml"]);
    const text = readFileSync(join(folder.path, "mine.yaml"), "utf8");
    const examples = [...text.matchAll(/^# ([a-z_]+: .+)$/gm)].map(([, line = ""]) => parse(line));

    const keys = Object.keys(JSON.parse(readFileSync(SCHEMA, "utf8")).properties);
    const explained = examples.flatMap((example) => Object.keys(example));
    expect([...explained, "$schema", "services", "env"].sort()).toEqual(keys.sort());
    for (const example of examples) expect([example, isValid(example)]).toEqual([example, true]);
  });

  it("overwrites nothing", async () => {
    write("precious");

    const { code, stderr } = await run(["init"]);

    expect([code, stderr]).toEqual([1, 'mikcar: "mikcar.yaml" is there already; name another one with --config\n']);
    expect(readFileSync(join(folder.path, "mikcar.yaml"), "utf8")).toBe("precious");
  });
});
