/** The README, line by line. */

import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, readReadme, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readReadme(PACKAGE);

it("has a library example that prints what it says", async () => {
  const { code, stdout } = await readme.run("ts", "KvService");

  expect([code, stdout.trim().split("\n").at(-1)]).toEqual([0, "hello"]);
});

it("starts with the URL it shows and answers the call it shows", async () => {
  const folder = temporaryFolder();
  const [, url = ""] = /KV_URL=(\S+)/.exec(readme.block("sh", "KV_URL")) ?? [];
  const [, path = "", body = ""] = /localhost:3001(\S+) -d (\S+)/.exec(readme.block("sh", "curl")) ?? [];
  const program = await startProgram(`${PACKAGE}dist/bin.js`, {
    args: ["--port", "0"],
    env: { KV_URL: url.replace("/tmp", folder.path) },
  });

  const answer = await ask(program.url, path, { method: "POST", body });
  const stored = await ask(program.url, path.replace("set", "get"));
  await program.stop();
  folder.remove();

  expect(readme.text).toContain(`\`${answer.text}\``);
  expect(stored.text).toBe(body);
});
