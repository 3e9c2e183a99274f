import { readFileSync } from "node:fs";
import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { open } from "../src/backends/file/index.ts";
import { secretsContract } from "./contract.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

secretsContract("file", {
  open: () => open(configUrl(`file://${folder.path}/secrets.enc`)),
  hidden: () => [readFileSync(`${folder.path}/secrets.enc.key`, "utf8").trim()],
});
