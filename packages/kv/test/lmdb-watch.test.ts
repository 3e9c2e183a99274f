/** Several processes on one file hear of each other's changes. */

import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { ask, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";
import { fileURLToPath } from "node:url";
import { open } from "../src/backends/lmdb/index.ts";
import type { KvBackend } from "../src/backend.ts";
import { glob } from "../src/glob.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let other: RunningProgram;
let kv: KvBackend;
beforeEach(async () => {
  folder = temporaryFolder();
  const url = fileUrl(`${folder.path}/kv.lmdb`);
  other = await startProgram(BIN, { args: ["--port", "0"], env: { KV_URL: url } });
  kv = await open(configUrl(url));
});
afterEach(async () => {
  await kv.close();
  await other.stop("SIGKILL");
  folder.remove();
});

it("tells what another process does, without what was before", async () => {
  await ask(other.url, "/kv/set/before", { method: "POST", body: "1" });
  const ending = new AbortController();
  const seen: string[] = [];
  const changes = await kv.watch(glob("*"), ending.signal);
  const reading = (async () => {
    for await (const batch of changes) seen.push(...batch.map(({ type, key }) => `${type} ${key}`));
  })();

  await ask(other.url, "/kv/set/a", { method: "POST", body: "1" });
  await ask(other.url, "/kv/set/b?ttl=1", { method: "POST", body: "1" });
  await ask(other.url, "/kv/del/a", { method: "DELETE" });

  await until("four changes came", () => seen.length === 4);
  ending.abort();
  await reading;
  expect(seen).toEqual(["set a", "set b", "del a", "expired b"]);
});
