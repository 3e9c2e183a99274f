/** The package as it is installed by those who use none of the clouds: without their clients. */

import { cpSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { ask, runProgram, startProgram, temporaryFolder } from "@mikcar/devkit";

const PACKAGES = fileURLToPath(new URL("../../", import.meta.url));

const folder = temporaryFolder();
const modules = join(folder.path, "node_modules");
const bin = join(modules, "@mikcar/storage/dist/bin.js");
beforeAll(() => {
  for (const name of ["core", "storage"]) {
    for (const part of ["dist", "package.json"]) {
      cpSync(join(PACKAGES, name, part), join(modules, "@mikcar", name, part), { recursive: true });
    }
  }
  mkdirSync(modules, { recursive: true });
  symlinkSync(realpathSync(join(PACKAGES, "storage/node_modules/sorted-btree")), join(modules, "sorted-btree"));
});
afterAll(() => folder.remove());

it("serves without them", async () => {
  const program = await startProgram(bin, { args: ["--port", "0"], env: { STORAGE_URL: "memory:" } });

  expect((await ask(program.url, "/storage/list")).json.objects).toEqual([]);

  await program.stop();
});

it.each([
  ["s3://bucket", "@aws-sdk/client-s3"],
  ["minio://localhost/bucket", "minio"],
  ["gs://bucket", "@google-cloud/storage"],
  ["az://container?account=mine&account_key=aGk=", "@azure/storage-blob"],
])("does not start with %s, and says how to install its client", async (url, client) => {
  const { code, stderr } = await runProgram(bin, { args: ["--port", "0"], env: { STORAGE_URL: url } });

  expect(code).toBe(1);
  expect(stderr).toContain(`STORAGE_URL: ${client} is not installed; run: npm install ${client}`);
});
