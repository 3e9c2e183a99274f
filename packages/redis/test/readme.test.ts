import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { runProgram } from "@mikcar/devkit";
import { startRedis } from "@mikcar/devkit/redis";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

it("has an example in the README that prints what it says", async () => {
  const readme = readFileSync(`${PACKAGE}README.md`, "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? "";
  const file = `${PACKAGE}.readme-example.mjs`; // in the package, so that it finds the package by its name
  writeFileSync(file, code);

  const server = await startRedis();

  const ending = await runProgram(file, { env: { REDIS_URL: server.url } });
  await server.remove();
  rmSync(file);

  expect(ending).toMatchObject({ code: 0, stdout: `${/\/\/ (\d.*)$/m.exec(readme)?.[1]}\n` });
}, 120_000);
