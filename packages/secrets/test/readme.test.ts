/** The README, line by line. */

import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, readReadme, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readReadme(PACKAGE);

it("has a library example that prints what it says", async () => {
  const { code, stdout } = await readme.run("ts", "SecretsService");

  expect([code, stdout.trim().split("\n").at(-1)]).toEqual([0, "hello"]);
});

it("starts with the URL it shows and answers the calls it shows", async () => {
  const folder = temporaryFolder();
  const [, url = ""] = /SECRETS_URL=(\S+)/.exec(readme.block("sh", "SECRETS_URL")) ?? [];
  const calls = readme.block("sh", "curl");
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
    expect(readme.text).toContain(`answers with \`${body.slice(1, -1)}\``);
  } finally {
    await program.stop();
    folder.remove();
  }
});
