/** The README, line by line. */

import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, readReadme, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readReadme(PACKAGE);

it("has a library example that prints what it says", async () => {
  const { code, stdout } = await readme.run("ts", "QueueService");

  expect([code, stdout.trim().split("\n").at(-1)]).toEqual([0, "hello"]);
});

it("starts with the URL it shows and answers the calls it shows", async () => {
  const folder = temporaryFolder();
  const [, url = ""] = /QUEUE_URL=(\S+)/.exec(readme.block("sh", "QUEUE_URL")) ?? [];
  const calls = readme.block("sh", "curl");
  const [, push = "", body = ""] = /localhost:3001(\S+) -d '(.+)'/.exec(calls) ?? [];
  const [, pop = ""] = /'localhost:3001(\S+)'/.exec(calls) ?? [];
  const program = await startProgram(`${PACKAGE}dist/bin.js`, {
    args: ["--port", "0"],
    env: { QUEUE_URL: url.replace("/tmp", folder.path) },
  });
  try {
    await ask(program.url, push, { method: "POST", body });
    const { text } = await ask(program.url, pop);

    expect(text).toContain(`"payload":${body}`);
    expect(readme.text).toContain(`answers with \`${body}\``);
  } finally {
    await program.stop();
    folder.remove();
  }
});
