/** Several processes on one file, and processes that end as nobody planned. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { runProgram, temporaryFolder, until } from "@mikcar/devkit";
import { openEnvironment } from "../src/index.ts";

const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 4;
const program = (name: string): string => fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(() => {
  folder = temporaryFolder();
  path = `${folder.path}/data.lmdb`;
});
afterEach(() => folder.remove());

it("counts exactly when two processes add to one number", async () => {
  const endings = await Promise.all(
    ["one", "two"].map((label) => runProgram(program("count"), { args: [path, "5000", label] })),
  );

  expect(endings.map(({ code, stderr }) => [code, stderr])).toEqual([
    [0, ""],
    [0, ""],
  ]);
  const environment = openEnvironment(path);
  const numbers = environment.table("numbers");
  expect(numbers.get(Buffer.from("counter"))?.toString()).toBe("10000");
  expect([numbers.has(Buffer.from("done:one")), numbers.has(Buffer.from("done:two"))]).toEqual([true, true]);
  await environment.close();
}, 60_000);

it(
  "opens one new file in several processes at once, and loses nothing of what they write meanwhile",
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const file = `${folder.path}/round-${round}.lmdb`;
      const labels = ["one", "two", "three"];

      const endings = await Promise.all(
        labels.map((label) => runProgram(program("count"), { args: [file, "200", label] })),
      );

      expect(endings.map(({ code, stderr }) => [code, stderr])).toEqual(labels.map(() => [0, ""]));
      const environment = openEnvironment(file);
      expect(environment.table("numbers").get(Buffer.from("counter"))?.toString()).toBe("600");
      await environment.close();
    }
  },
  15_000 * ROUNDS,
);

it("takes over the turn of a process that ended while it was opening", async () => {
  const { pid } = spawn(process.execPath, ["--version"], { stdio: "ignore" }).once("error", () => undefined);
  await until("the process has ended", () => !isAlive(pid ?? 0));
  writeFileSync(`${path}-opening`, String(pid));

  const environment = openEnvironment(path);

  expect(existsSync(`${path}-opening`)).toBe(false);
  await environment.close();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH: there is no such process
  }
}

it("counts exactly when this process and another add to one number", async () => {
  const environment = openEnvironment(path);
  const numbers = environment.table("numbers");
  const key = Buffer.from("counter");
  const running = runProgram(program("count"), { args: [path, "2000", "other"] });

  for (let count = 0; count < 100; count++) {
    await environment.commit((draft) =>
      draft.put(numbers, key, Buffer.from(String(Number(draft.get(numbers, key) ?? 0) + 1))),
    );
  }

  expect((await running).code).toBe(0);
  environment.refresh();
  expect(numbers.get(key)?.toString()).toBe("2100");
  await environment.close();
}, 60_000);

/** Kills the writer once it has printed some keys. @returns all that it printed. */
async function killWriter(prefix: string, afterKeys: number): Promise<string[]> {
  const writer = spawn(process.execPath, [program("write"), path, prefix], { stdio: ["ignore", "pipe", "inherit"] });
  const keys: string[] = [];
  for await (const line of createInterface(writer.stdout)) {
    keys.push(line);
    if (keys.length === afterKeys) writer.kill("SIGKILL");
  }
  if (writer.signalCode === null) await once(writer, "exit");
  expect(writer.signalCode).toBe("SIGKILL");
  return keys;
}

it(
  "has every acknowledged key after kill -9, whole and with its twin",
  async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const keys = await killWriter(`r${round}`, 20 + Math.floor(Math.random() * 400));
      acknowledged.push(...keys);

      const environment = openEnvironment(path);
      const values = environment.table("values");
      const missing = acknowledged.filter((key) => values.get(Buffer.from(key))?.toString() !== key.repeat(50));
      const names = new Set([...values.keys({})].map(String));
      const single = [...names].filter((key) => !names.has(key.startsWith("twin:") ? key.slice(5) : `twin:${key}`));
      await environment.close();

      expect(keys.length).toBeGreaterThanOrEqual(20);
      expect([missing, single]).toEqual([[], []]);
    }
  },
  20_000 * ROUNDS,
);

it("answers UNAVAILABLE when the disk takes no more, goes on reading, and closes", async () => {
  const limited = spawn("sh", ["-c", 'ulimit -f 2000 && exec "$@"', "sh", process.execPath, program("fill"), path]);
  let output = "";
  let errors = "";
  limited.stdout.on("data", (chunk: Buffer) => (output += chunk));
  limited.stderr.on("data", (chunk: Buffer) => (errors += chunk));

  const [code] = (await once(limited, "close")) as [number | null];

  expect([code, errors.includes("UnhandledPromise")]).toEqual([0, false]);
  expect(JSON.parse(output)).toEqual({
    codes: ["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"],
    read: 10_000,
    isPartial: true,
  });
  const environment = openEnvironment(path);
  expect(environment.table("values").get(Buffer.from("0"))).toHaveLength(10_000);
  expect(await environment.commit((draft) => draft.has(environment.table("values"), Buffer.from("-1")))).toBe(false);
  await environment.close();
});
