/** The README, line by line. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { readReadme, type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readReadme(PACKAGE);

let folder: ReturnType<typeof temporaryFolder>;
let program: RunningProgram;
beforeEach(async () => {
  folder = temporaryFolder();
  const [, url = ""] = /DATABASE_URL=(\S+)/.exec(readme.block("sh", "DATABASE_URL")) ?? [];
  program = await startProgram(`${PACKAGE}dist/bin.js`, {
    args: ["--port", "0"],
    env: { DATABASE_URL: url.replace("/tmp", folder.path) },
  });
});
afterEach(async () => {
  await program.stop();
  folder.remove();
});

async function shell(script: string): Promise<string> {
  const quiet = script
    .replaceAll("localhost:3001", new URL(program.url).host)
    .replaceAll("curl ", "curl -sS -w '\\n' ");
  return (await promisify(execFile)("bash", ["-ec", quiet], { cwd: folder.path })).stdout;
}

it("answers the first call as it says", async () => {
  const answer = await shell(readme.block("sh", "SELECT $1 + 1"));

  expect(readme.text).toContain(`\`${answer.trim()}\``);
});

it("moves money as it says, as pasted", async () => {
  const tour = readme.block("sh", "transfer.js");
  const expected = [...tour.matchAll(/^#> (.*)$/gm)].map(([, line = ""]) => line);

  const answers = (await shell(tour)).trim().split("\n");

  expect(answers).toHaveLength(expected.length);
  for (const [at, line] of expected.entries()) expect(answers[at]).toMatch(pattern(line));
});

it("has a library example that prints what it says", async () => {
  const { code, stdout } = await readme.run("ts", "SqlService");

  expect([code, stdout.split("\n")]).toEqual([0, expect.arrayContaining(["hello"])]); // beside lines of the log
});

/** `…` stands for anything. */
function pattern(line: string): RegExp {
  const parts = line.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
