/** The README, line by line. */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, runProgram, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(`${PACKAGE}README.md`, "utf8");

function block(language: string, containing: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.find(([, name, code = ""]) => name === language && code.includes(containing));
  if (found?.[2] === undefined) throw new Error(`the README has no ${language} block with ${containing}`);
  return found[2];
}

it("has a library example that prints what it says", async () => {
  const file = `${PACKAGE}.readme-example.mjs`; // in the package, so that it finds the package by its name
  writeFileSync(file, block("ts", "SecretsService"));
  try {
    const { code, stdout } = await runProgram(file);

    expect([code, stdout.trim().split("\n").at(-1)]).toEqual([0, "hello"]);
  } finally {
    rmSync(file);
  }
});

it("starts with the URL it shows and answers the calls it shows", async () => {
  const folder = temporaryFolder();
  const [, url = ""] = /SECRETS_URL=(\S+)/.exec(block("sh", "SECRETS_URL")) ?? [];
  const calls = block("sh", "curl");
  const [, create = "", header = "", body = ""] = /localhost:3001(\S+) -H '(.+?)' -d '(.+)'/.exec(calls) ?? [];
  const [, read = ""] = /localhost:3001(\S+)$/m.exec(calls) ?? [];
  const [name = "", value = ""] = header.split(": ");
  const program = await startProgram(`${PACKAGE}dist/bin.js`, {
    args: ["--port", "0"],
    env: { SECRETS_URL: url.replace("/tmp", folder.path) },
  });
  try {
    await ask(program.url, create, { method: "POST", headers: { [name]: value }, body });
    const { text } = await ask(program.url, read);

    expect(text).toContain(body.slice(1, -1));
    expect(readme).toContain(`answers with \`${body.slice(1, -1)}\``);
  } finally {
    await program.stop();
    folder.remove();
  }
});
