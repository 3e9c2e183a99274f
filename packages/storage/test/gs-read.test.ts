/** Reads as Google answers them: its JSON API tells no metadata along with the bytes, its XML API does. A stand-in plays it. */

import type { ServerResponse } from "node:http";
import { afterAll, afterEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { FoundObject, ObjectInfo, ReadRequest, Slice, StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/gs/index.ts";
import { collect } from "./contract.ts";
import { type FakeBucket, type Heard, startFakeBucket } from "./fake-bucket.ts";
import { OTHER_UNIVERSE, writeServiceAccount } from "./gs-key.ts";

const BYTES = Buffer.from("0123456789");
const METADATA = { author: "Ada", empty: "" };
const HEADERS = { "X-Goog-Generation": "7", "Last-Modified": new Date(0).toUTCString(), "Content-Type": "text/plain" };

const folder = temporaryFolder();
const keyFile = `${folder.path}/key.json`;
writeServiceAccount(keyFile, OTHER_UNIVERSE);
let server: FakeBucket;
let storage: StorageBackend;
afterEach(async () => {
  await storage.close();
  await server.close();
});
afterAll(() => folder.remove());

/** @param missing What is not there. */
async function start(missing: "nothing" | "object" | "bucket" = "nothing"): Promise<void> {
  server = await startFakeBucket((response, heard) => {
    const isXml = !heard.line.includes("/storage/v1/");
    if (missing !== "nothing") absent(response, missing, isXml);
    else if (isXml) media(response, heard, { "X-Goog-Meta-Author": "Ada", "X-Goog-Meta-Empty": "" });
    else if (heard.line.includes("alt=media")) media(response, heard, {});
    else {
      const times = { updated: new Date(0).toISOString(), generation: "7" };
      response.end(JSON.stringify({ size: "10", ...times, contentType: "text/plain", metadata: METADATA }));
    }
  });
  storage = await open(configUrl(`gs://bucket?endpoint=http://${server.address}&key_file=${keyFile}`));
}

function media(response: ServerResponse, { headers }: Heard, metadata: Record<string, string>): void {
  if (!["7", undefined].includes(headers["x-goog-if-generation-match"] as string)) {
    response.writeHead(412).end();
    return;
  }
  const [, first = "0", last = "9"] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  const bytes = BYTES.subarray(Number(first), Number(last) + 1);
  const range = headers.range === undefined ? {} : { "Content-Range": `bytes ${first}-${last}/10` };
  const length = { "Content-Length": bytes.length };
  response.writeHead(headers.range === undefined ? 200 : 206, { ...HEADERS, ...metadata, ...range, ...length });
  response.end(bytes);
}

function absent(response: ServerResponse, what: "object" | "bucket", isXml: boolean): void {
  response.writeHead(404);
  if (!isXml) response.end(JSON.stringify({ error: { code: 404, message: "No such object" } }));
  else if (what === "object") response.end("<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.");
  else response.end("<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>");
}

function get(path: string, parts: Partial<ReadRequest<Slice>> = {}): Promise<FoundObject<Slice> | undefined> {
  const select = ({ size }: ObjectInfo): Slice => ({ start: 0, end: size });
  return storage.get(path, { conditions: undefined, range: undefined, select, ...parts });
}

function lines(): string[] {
  return server.heard.map(({ line }) => line.replace(/[?&]fields=[^&]*/, ""));
}

it("tells the metadata, in the one request for the bytes", async () => {
  await start();

  const found = await get("a b/ü?");

  expect(found?.info).toEqual({
    path: "a b/ü?",
    size: 10,
    lastModified: new Date(0),
    eTag: "7",
    contentType: "text/plain",
    metadata: METADATA,
  });
  expect(await collect(found?.body ?? BYTES)).toEqual(BYTES);
  expect(lines()).toEqual(["GET /a%20b/%C3%BC%3F"]);
});

it("tells it with a part of the bytes too", async () => {
  await start();

  const found = await get("x", { range: { first: 2, last: 4 }, select: () => ({ start: 2, end: 5 }) });

  expect([found?.info.size, found?.info.metadata]).toEqual([10, METADATA]);
  expect((await collect(found?.body ?? BYTES)).toString()).toBe("234");
});

it("reads the version that was looked at, where a condition has to be weighed", async () => {
  await start();

  const found = await get("x", { conditions: { ifMatch: ["7"] } });

  expect(found?.info.metadata).toEqual(METADATA);
  expect(server.heard.at(-1)?.headers["x-goog-if-generation-match"]).toBe("7");
  await collect(found?.body ?? BYTES);
});

it("asks once, and for no bytes, when a cached version is still the present one", async () => {
  await start();

  const found = await get("x", { conditions: { ifNoneMatch: ["7"] }, select: () => ({ start: 0, end: 0 }) });

  expect(found?.info).toMatchObject({ eTag: "7", metadata: METADATA });
  expect(lines()).toEqual(["GET /storage/v1/b/bucket/o/x"]);
});

it("tells an object that is absent from a bucket that is", async () => {
  await start("object");
  expect(await get("x")).toBeUndefined();
  await storage.close();
  await server.close();

  await start("bucket");
  const message = expect.stringMatching(/create the bucket/);
  await expect(get("x")).rejects.toMatchObject({ code: "BAD_GATEWAY", message });
});
