/** The end that nobody ordered: SIGKILL under load, again and again, on the same file. */

import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { type Answer, ask, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 40 : 3;
const CLIENTS = 24;
const KEYS_EACH = 10;
const JSON_TYPE = { "Content-Type": "application/json" };

let folder: ReturnType<typeof temporaryFolder>;
let program: RunningProgram | undefined;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await program?.stop("SIGKILL");
  folder.remove();
});

/** What the clients know. Each has keys of its own, so that it knows their order. */
const tried = new Map<string, number>();
const acknowledged = new Map<string, number>();
const counted = { tried: 0, acknowledged: 0 };

/** Its length and every part of it tell the version, so that a torn one shows. */
function value(key: string, version: number): string {
  return `${key}=${version};`.repeat(1 + ((version * 7919) % 500));
}

async function post(path: string, body?: string, headers = {}): Promise<Answer> {
  const options = { method: "POST", headers, ...(body === undefined ? {} : { body }) };
  const answer = await ask(program?.url ?? "", `/kv${path}`, options);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer;
}

/** A write that fails leaves `tried` ahead of `acknowledged`: it may be there or not. */
async function write(client: number, round: number): Promise<void> {
  const version = (tried.get(`c${client}:0`) ?? 0) + 1;
  const single = `c${client}:0`;
  tried.set(single, version);
  await post(`/set/${single}`, value(single, version));
  acknowledged.set(single, version);

  const batch = Array.from({ length: KEYS_EACH - 1 }, (_, index) => `c${client}:${index + 1}`);
  for (const key of batch) tried.set(key, version);
  await post(
    "/set/batch",
    JSON.stringify(Object.fromEntries(batch.map((key) => [key, value(key, version)]))),
    JSON_TYPE,
  );
  for (const key of batch) acknowledged.set(key, version);

  counted.tried += 1;
  await post("/increment/counter");
  counted.acknowledged += 1;
  if (client === 0) await post(`/set/round:${round}?ttl=1`, "x");
}

/** Kills the program after a random number of acknowledged writes. */
async function killUnderLoad(round: number): Promise<void> {
  program = await startProgram(BIN, { args: ["--port", "0", "--data", folder.path] });
  let isKilled = false;
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    while (!isKilled) await write(client, round);
  });
  const ended = Promise.allSettled(clients);
  const goal = counted.acknowledged + 50 + Math.floor(Math.random() * 200);
  await until("enough writes are acknowledged", () => counted.acknowledged >= goal, 20_000);
  const ending = program.stop("SIGKILL");
  await ending;
  isKilled = true;
  await ended;
}

async function verify(): Promise<void> {
  program = await startProgram(BIN, { args: ["--port", "0", "--data", folder.path] });
  for (let client = 0; client < CLIENTS; client++) {
    const keys = Array.from({ length: KEYS_EACH }, (_, index) => `c${client}:${index}`);
    const found = (await post("/get/batch", JSON.stringify({ keys }), JSON_TYPE)).json as Record<string, string | null>;
    const versions = keys.map((key) => versionOf(key, found[key]));

    expect(new Set(versions.slice(1)).size).toBe(1); // a batch is there as a whole
    keys.forEach((key, index) => {
      expect(versions[index]).toBeGreaterThanOrEqual(acknowledged.get(key) ?? 0);
      expect(versions[index]).toBeLessThanOrEqual(tried.get(key) ?? 0);
    });
  }
  const counter = Number((await post("/increment/counter?by=0")).json.value);
  expect(counter).toBeGreaterThanOrEqual(counted.acknowledged);
  expect(counter).toBeLessThanOrEqual(counted.tried);
  const listed = (await ask(program.url, "/kv/keys/c*:*")).json.keys as string[];
  expect(listed.every((key) => tried.has(key))).toBe(true);
  expect((await program.stop()).code).toBe(0);
  program = undefined;
}

function versionOf(key: string, found: string | null | undefined): number {
  if (found === null || found === undefined) return 0;
  const version = Number(/=(\d+);/.exec(found)?.[1]);
  expect(found === value(key, version)).toBe(true);
  return version;
}

it(
  "finds every acknowledged write whole after SIGKILL under load, and counts none twice",
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await killUnderLoad(round);
      await verify();
    }

    expect(counted.acknowledged).toBeGreaterThan(ROUNDS * 50);
  },
  30_000 * ROUNDS,
);
