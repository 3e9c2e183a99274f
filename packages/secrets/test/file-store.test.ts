/** What is peculiar to the encrypted file: its keys, what it notices, and several processes on it. */

import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { runProgram, temporaryFolder } from "@mikcar/devkit";
import type { SecretsBackend } from "../src/backend.ts";
import { open } from "../src/backends/file/index.ts";
import { rekeyFile } from "../src/backends/file/rekey.ts";

const KEY = "0123456789abcdef".repeat(4);
const OTHER_KEY = Buffer.alloc(32, 7).toString("base64");
/** Magic, id of the key, nonce, tag. */
const NONCE_AT = 33;
const BODY_AT = 61;

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
const opened: SecretsBackend[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  path = `${folder.path}/new/secrets.enc`;
});
afterEach(async () => {
  for (const backend of opened.splice(0)) await backend.close();
  delete process.env["SECRETS_KEY"];
  folder.remove();
});

async function start(): Promise<SecretsBackend> {
  const backend = await open(configUrl(`file://${path}`));
  opened.push(backend);
  return backend;
}

async function startWith(key: string): Promise<SecretsBackend> {
  process.env["SECRETS_KEY"] = key;
  return start();
}

describe("the key", () => {
  it("is made on first use, for its owner alone, and found again", async () => {
    const first = await start();
    await first.create("a", "one", {});

    const second = await start();

    expect((await second.read("a"))?.value).toBe("one");
    expect([path, `${path}.key`].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(readFileSync(`${path}.key`, "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
  });

  it("comes from SECRETS_KEY, and then no file has it", async () => {
    await (await startWith(KEY)).create("a", "one", {});

    expect(existsSync(`${path}.key`)).toBe(false);
    expect((await (await startWith(Buffer.from(KEY, "hex").toString("base64"))).read("a"))?.value).toBe("one");
  });

  it.each([
    ["another key", OTHER_KEY, /encrypted with another key.*SECRETS_KEY/],
    ["half a key", KEY.slice(1), /SECRETS_KEY: expected 32 bytes.*openssl rand -hex 32/],
    ["a password", "correct horse battery staple", /SECRETS_KEY: expected 32 bytes/],
  ])("stops the start when it is %s", async (_what, key, sentence) => {
    await (await startWith(KEY)).create("a", "one", {});

    await expect(startWith(key)).rejects.toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringMatching(sentence),
    });
  });

  it("stops the start when its file is gone, readable by others, or not one", async () => {
    await (await start()).create("a", "one", {});

    chmodSync(`${path}.key`, 0o640);
    await expect(start()).rejects.toMatchObject({ message: expect.stringContaining(`chmod 600 ${path}.key`) });
    rmSync(`${path}.key`);
    await expect(start()).rejects.toMatchObject({ message: expect.stringMatching(/its key is not; put ".*key" back/) });
    writeFileSync(`${path}.key`, "no key", { mode: 0o600 });
    await expect(start()).rejects.toMatchObject({ message: expect.stringContaining("holds no key") });
  });
});

describe("the file", () => {
  it("shows neither names nor values, and has a new nonce for each write", async () => {
    const backend = await start();
    const nonces = new Set<string>();
    for (const round of [1, 2, 3, 4]) {
      await backend.create(`visible-name-${round}`, "visible-value", { visible: "label" });
      const bytes = readFileSync(path);
      expect(bytes.toString("latin1")).not.toContain("visible");
      nonces.add(bytes.subarray(NONCE_AT, NONCE_AT + 12).toString("hex"));
    }

    expect(nonces.size).toBe(4);
  });

  it.each([
    ["its first line", 3],
    ["the id of its key", 20],
    ["its nonce", NONCE_AT],
    ["its tag", NONCE_AT + 12],
    ["its secrets", BODY_AT + 5],
  ])("does not open when a bit of %s has changed", async (_what, at) => {
    const backend = await start();
    await backend.create("a", "one", {});
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] ?? 0) ^ 1;

    writeFileSync(path, bytes);

    await expect(start()).rejects.toMatchObject({ code: "CONFIG_ERROR", message: expect.stringContaining(path) });
    await expect(backend.read("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(backend.create("b", "two", {})).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("does not open when it ends early", async () => {
    await (await start()).create("a", "one", {});
    const bytes = readFileSync(path);

    for (const length of [0, 10, BODY_AT, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(start()).rejects.toMatchObject({ message: expect.stringContaining("damaged") });
    }
  });

  it("is not taken for the present one when an older copy is put back under a running program", async () => {
    const backend = await start();
    await backend.create("a", "one", {});
    copyFileSync(path, `${path}.copy`);
    await backend.update("a", "two", undefined);

    copyFileSync(`${path}.copy`, path);

    await expect(backend.read("a")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("older"),
    });
    expect((await (await start()).read("a"))?.value).toBe("one");
  });

  it("keeps the last ten versions", async () => {
    const backend = await start();
    await backend.create("a", "1", {});
    for (let number = 2; number <= 14; number++) await backend.update("a", String(number), undefined);

    const versions = (await backend.versions("a"))?.map(({ version }) => Number(version));
    expect(versions).toEqual([14, 13, 12, 11, 10, 9, 8, 7, 6, 5]);
    expect([await backend.read("a", "4"), (await backend.read("a", "5"))?.value]).toEqual([undefined, "5"]);
  });
});

it("stays the file that a link leads to", async () => {
  await (await start()).create("a", "one", {});
  symlinkSync(path, `${folder.path}/link.enc`);
  const backend = await open(configUrl(`file://${folder.path}/link.enc`));
  opened.push(backend);

  await backend.create("b", "two", {});

  expect(lstatSync(`${folder.path}/link.enc`).isSymbolicLink()).toBe(true);
  expect(await (await start()).exists("b")).toBe(true);
});

it("is 503 where a folder has come into its place", async () => {
  const backend = await start();
  await backend.create("a", "one", {});
  rmSync(path);
  mkdirSync(path);

  await expect(backend.read("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(backend.create("b", "two", {})).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

describe("several processes", () => {
  it("see each other's writes at once, and lose none", async () => {
    const [one, other] = [await start(), await start()];
    const names = Array.from({ length: 60 }, (_, at) => `n${at}`);

    const made = await Promise.all(names.map((name, at) => (at % 2 === 0 ? one : other).create(name, name, {})));
    const twice = await Promise.all(names.map((name, at) => (at % 2 === 0 ? other : one).create(name, name, {})));

    expect([made.every(Boolean), twice.some(Boolean)]).toEqual([true, false]);
    for (const backend of [one, other, await start()]) expect(await backend.list("", {})).toHaveLength(60);
    await one.remove("n7");
    expect(await other.exists("n7")).toBe(false);
  });

  it("get one key when they start at once", async () => {
    const backends = await Promise.all(Array.from({ length: 8 }, start));

    await Promise.all(backends.map((backend, at) => backend.create(`n${at}`, "x", {})));

    expect(await (await start()).list("", {})).toHaveLength(8);
  });

  it("take over the lock of one that has ended", async () => {
    const backend = await start();
    const { stdout } = await runProgram("-p", { args: ["process.pid"] });
    await backend.create("a", "one", {});

    writeFileSync(`${path}.lock`, `${stdout.trim()} 12345`);

    expect(await backend.create("b", "two", {})).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });
});

describe("another key", () => {
  it("takes the place of the key file, under a program that runs", async () => {
    const backend = await start();
    await backend.create("a", "one", { team: "x" });
    const before = readFileSync(`${path}.key`, "utf8");

    const sentence = await rekeyFile(path, {});

    expect(sentence).toContain("new key");
    expect(readFileSync(`${path}.key`, "utf8")).not.toBe(before);
    expect(existsSync(`${path}.key.new`)).toBe(false);
    for (const reader of [backend, await start()]) {
      expect(await reader.read("a")).toMatchObject({ value: "one", labels: { team: "x" }, version: "1" });
    }
    expect(await backend.update("a", "two", undefined)).toBe(true);
  });

  it("comes from NEW_SECRETS_KEY, and the old one opens nothing any more", async () => {
    const backend = await startWith(KEY);
    await backend.create("a", "one", {});

    await rekeyFile(path, { SECRETS_KEY: KEY, NEW_SECRETS_KEY: OTHER_KEY });

    await expect(startWith(KEY)).rejects.toMatchObject({ code: "CONFIG_ERROR" });
    expect((await (await startWith(OTHER_KEY)).read("a"))?.value).toBe("one");
    await expect(backend.read("a")).rejects.toMatchObject({ message: expect.stringContaining("another key") });
  });

  it("may go from a key file to a variable, and the file is gone then", async () => {
    await (await start()).create("a", "one", {});

    await rekeyFile(path, { NEW_SECRETS_KEY: KEY });

    expect(existsSync(`${path}.key`)).toBe(false);
    expect((await (await startWith(KEY)).read("a"))?.value).toBe("one");
  });

  it("is refused without what it needs, and nothing has changed", async () => {
    await (await startWith(KEY)).create("a", "one", {});

    await expect(rekeyFile(path, { SECRETS_KEY: KEY })).rejects.toThrow("NEW_SECRETS_KEY is not set");
    await expect(rekeyFile(path, { SECRETS_KEY: OTHER_KEY, NEW_SECRETS_KEY: KEY })).rejects.toThrow("does not open");
    await expect(rekeyFile(`${path}x`, {})).rejects.toThrow("cannot be read");

    expect((await (await startWith(KEY)).read("a"))?.value).toBe("one");
  });

  it("can be cut off between any two of its steps", async () => {
    await (await start()).create("a", "one", {});
    const [file, key] = [readFileSync(path), readFileSync(`${path}.key`)];
    await rekeyFile(path, {});
    const [newFile, newKey] = [readFileSync(path), readFileSync(`${path}.key`)];
    const write = (files: Readonly<Record<string, Buffer>>): void => {
      for (const end of ["", ".key", ".key.new"]) rmSync(path + end, { force: true });
      for (const [end, bytes] of Object.entries(files)) writeFileSync(path + end, bytes, { mode: 0o600 });
    };

    for (const left of [
      { "": file, ".key": key, ".key.new": Buffer.alloc(0) },
      { "": file, ".key": key, ".key.new": newKey },
      { "": newFile, ".key": key, ".key.new": newKey },
    ]) {
      write(left);
      expect((await (await start()).read("a"))?.value).toBe("one");
      await rekeyFile(path, {});
      expect((await (await start()).read("a"))?.value).toBe("one");
    }
  });
});
