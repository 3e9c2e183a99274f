/** What is peculiar to the LMDB file: processes share it, and its length costs nothing. */

import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { ask, type RunningProgram, startProgram, temporaryFolder, until } from "@mikcar/devkit";
import { open } from "../src/backends/lmdb.ts";
import { type Client, serve } from "./client.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let url: string;
let other: RunningProgram | undefined;
let client: Client | undefined;
beforeEach(() => {
  folder = temporaryFolder();
  url = fileUrl(`${folder.path}/queue.lmdb`);
});
afterEach(async () => {
  await client?.close();
  await other?.stop("SIGKILL");
  folder.remove();
});

it("wakes a poll by the push of another process, which may acknowledge what was leased here", async () => {
  client = await serve(await open(configUrl(url)));
  other = await startProgram(BIN, { args: ["--port", "0"], env: { QUEUE_URL: url } });
  const poll = client.get("/pop/q?timeout=30&ack=manual");
  await client.get("/pop/q?timeout=0.05"); // by then it waits

  const pushed = await ask(other.url, "/queue/push/q", { method: "POST", body: "1" });
  const { json } = await poll;
  const acked = await ask(other.url, `/queue/ack/q/${json.message.id}`, { method: "POST" });

  expect([json.message.id, acked.status]).toEqual([pushed.json.message_id, 200]);
  expect((await client.get("/len/q")).json).toMatchObject({ length: 0, leased: 0 });
});

it("hands out again what another process held when it was killed", async () => {
  client = await serve(await open(configUrl(url)));
  other = await startProgram(BIN, { args: ["--port", "0"], env: { QUEUE_URL: url } });
  await client.post("/push/q", 1);
  await ask(other.url, "/queue/pop/q?ack=manual&visibility=0.5");

  await other.stop("SIGKILL");

  const { json } = await client.get("/pop/q?timeout=10&ack=manual");
  expect(json.message).toMatchObject({ payload: 1, deliveries: 2 });
});

it("leaves nothing behind of queues and messages that are done with", async () => {
  client = await serve(await open(configUrl(url)));
  for (let count = 0; count < 20; count++) {
    await client.post(`/push/q${count}/batch`, { messages: [1, 2, 3] });
    for (let message = 0; message < 3; message++) await client.get(`/pop/q${count}?timeout=0`);
  }
  await until("all are acknowledged", async () => (await client?.get("/len/q19"))?.json.leased === 0);
  await client.close();
  client = undefined;

  const { openEnvironment } = await import("@mikcar/lmdb");
  const environment = openEnvironment(`${folder.path}/queue.lmdb`);
  const tables = ["sources", "payloads", "shares", "ready", "leases", "deadlines", "delayed", "dead"];
  const left = tables.map((name) => [name, [...environment.table(name).keys({})].length]);
  await environment.close();
  expect(left).toEqual(tables.map((name) => [name, 0]));
});
