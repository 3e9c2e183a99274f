import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { runProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

it("has an example in the README that prints what it says", async () => {
  const folder = temporaryFolder();
  const readme = readFileSync(`${PACKAGE}README.md`, "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? "";
  const file = `${PACKAGE}.readme-example.mjs`; // in the package, so that it finds the package by its name
  writeFileSync(file, code.replace("/tmp/", `${folder.path}/`));

  const ending = await runProgram(file);
  rmSync(file);
  folder.remove();

  expect(ending).toMatchObject({ code: 0, stdout: `${/\/\/ (1 .*)$/m.exec(readme)?.[1]}\n` });
});
