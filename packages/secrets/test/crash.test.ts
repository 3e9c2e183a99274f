/** kill -9 while writes run: what was acknowledged is there afterwards, on two programs that share the file. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const isLong = process.env["MIKCAR_TEST_LONG"] === "1";
const ROUNDS = isLong ? 60 : 5;
const WRITERS = 12;

async function start(folder: string): Promise<RunningProgram> {
  return startProgram(BIN, { args: ["--port", "0"], env: { SECRETS_URL: `file://${folder}/secrets.enc` } });
}

it(`loses nothing in ${ROUNDS} kills`, async () => {
  const folder = temporaryFolder();
  /** What each secret may be: one value, and those whose write was not answered. */
  const possible = new Map<string, (string | undefined)[]>();
  let programs: RunningProgram[] = await Promise.all([start(folder.path), start(folder.path)]);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const victim = round % 2;
      let isOver = false;
      const writers = Array.from({ length: WRITERS }, async (_, writer) => {
        for (let at = 0; !isOver; at++) {
          const name = `w${writer}/n${at % 5}`;
          const value = `${round} ${writer} ${at}`;
          const url = programs[writer % 2]?.url ?? "";
          const answer = await put(url, name, value).catch(() => undefined); // killed
          possible.set(name, answer === true ? [value] : [...(possible.get(name) ?? [undefined]), value]);
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 200));
      await programs[victim]?.stop("SIGKILL");
      isOver = true;
      await Promise.all(writers);
      programs = await Promise.all(programs.map((program, at) => (at === victim ? start(folder.path) : program)));

      for (const [name, values] of possible) {
        const read = ({ url }: RunningProgram): Promise<string | undefined> => valueOf(url, name);
        const [found, other] = await Promise.all(programs.map(read));
        expect([name, found, values]).toEqual([name, other, expect.arrayContaining([found])]);
        possible.set(name, [found]);
      }
    }
    expect(possible.size).toBeGreaterThan(WRITERS);
  } finally {
    for (const program of programs) await program.stop("SIGKILL");
    folder.remove();
  }
}, 600_000);

it(`opens with its key after each of ${ROUNDS} changes of it that were killed`, async () => {
  const folder = temporaryFolder();
  const env = { SECRETS_URL: `file://${folder.path}/secrets.enc` };
  let program = await start(folder.path);
  try {
    await put(program.url, "a", "one");
    for (let round = 0; round < ROUNDS; round++) {
      const rekey = spawn(process.execPath, [BIN, "rekey"], {
        env: { PATH: process.env["PATH"], ...env },
        stdio: "ignore",
      });
      const writes = put(program.url, `n${round}`, String(round));
      setTimeout(() => rekey.kill("SIGKILL"), 100 + Math.random() * 250);
      await once(rekey, "exit");

      expect([await writes, await valueOf(program.url, "a")]).toEqual([true, "one"]);
      await program.stop("SIGKILL");
      program = await start(folder.path);
      expect([await valueOf(program.url, "a"), await valueOf(program.url, `n${round}`)]).toEqual([
        "one",
        String(round),
      ]);
    }
  } finally {
    await program.stop("SIGKILL");
    folder.remove();
  }
}, 600_000);

async function valueOf(url: string, name: string): Promise<string | undefined> {
  return (await ask(url, `/secrets/secret/${name}`)).json.value;
}

/** True when it was acknowledged. */
async function put(url: string, name: string, value: string): Promise<boolean> {
  const options = { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ value }) };
  const { status } = await ask(url, `/secrets/secret/${name}`, { method: "PUT", ...options });
  if (status !== 404) return status === 200;
  return (await ask(url, `/secrets/secret/${name}`, { method: "POST", ...options })).status === 201;
}
