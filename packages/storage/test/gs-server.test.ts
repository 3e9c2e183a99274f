/** What a bucket of Google Cloud Storage is beyond the contract, on an emulator of it. */

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, LOCALHOST, startProgram, temporaryFolder } from "@mikcar/devkit";
import { type FakeGcs, startFakeGcs } from "@mikcar/devkit/fake-gcs";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/gs/index.ts";
import { broken, list, paths, PLAIN, put, read, stream, text } from "./contract.ts";
import { goesBothWays } from "./large.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const MIB = 1024 * 1024;

let server: FakeGcs;
let buckets = 0;
const opened: StorageBackend[] = [];
beforeAll(async () => {
  server = await startFakeGcs();
}, 120_000);
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
});
afterAll(() => server?.remove());

async function freshBucket(): Promise<string> {
  buckets += 1;
  await server.createBucket(`bucket-${buckets}`);
  return `bucket-${buckets}`;
}

/** @param place A bucket, and a prefix. @param parameters Begin with `&`, or are nothing. */
async function start(place: string, parameters = ""): Promise<StorageBackend> {
  const storage = await open(configUrl(`gs://${place}?endpoint=${server.url}${parameters}`));
  opened.push(storage);
  return storage;
}

async function bare(method: string, path: string, body?: string): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${server.url}/storage/v1/b/${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

async function keys(bucket: string): Promise<string[]> {
  const { items = [] } = (await (await bare("GET", `${bucket}/o`)).json()) as { items?: { name: string }[] };
  return items.map(({ name }) => name).sort(bytewise);
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function calls(storage: StorageBackend): Promise<unknown>[] {
  return [
    storage.ping(),
    storage.head("x"),
    read(storage, "x"),
    put(storage, "x"),
    put(storage, "x", Buffer.alloc(9 * MIB)),
    storage.delete("x"),
    list(storage),
    storage.copy("x", "y"),
    storage.move("x", "z"),
  ];
}

describe("a prefix in the URL", () => {
  it("confines everything below it, and is not to be seen", async () => {
    const bucket = await freshBucket();
    const [all, confined] = [await start(bucket), await start(`${bucket}/team-a`)];
    for (const path of ["team-a0", "team-b/x", "x"]) await put(all, path, "other");

    await put(confined, "x", "mine");
    await confined.copy("x", "y/z");
    await confined.move("y/z", "y/w");

    expect(await keys(bucket)).toEqual(["team-a/x", "team-a/y/w", "team-a0", "team-b/x", "x"]);
    expect(await text(all, "team-a/x")).toBe("mine");
    expect((await confined.head("x"))?.path).toBe("x");
    expect(await list(confined, { delimiter: "/" })).toMatchObject({ prefixes: ["y/"], objects: [{ path: "x" }] });
    expect(await confined.deleteMany(["x", "y/w", "team-b/x"])).toEqual({ deleted: 2, errors: [] });
    expect(await keys(bucket)).toEqual(["team-a0", "team-b/x", "x"]);
  });

  it("is not left by names that look like other places", async () => {
    const bucket = await freshBucket();
    const confined = await start(`${bucket}/m`);
    const hostile = ["..%2Fx", "%2e%2e/x", "?alt=json", "#x", "o/rewriteTo/b/b/o/x", "x?ifGenerationMatch=0", "&x=y"];
    const names = [...hostile, "a b+c", "x\u2028y", "ü/é", "😀"];

    for (const name of names) await put(confined, name);
    for (const name of hostile) await confined.copy(name, `copy of ${name}`);
    for (const name of hostile) await confined.move(`copy of ${name}`, `moved ${name}`);

    const moved = hostile.map((name) => `moved ${name}`);
    expect(await keys(bucket)).toEqual([...names, ...moved].map((name) => `m/${name}`).sort(bytewise));
    for (const name of names) expect(await text(confined, name)).toBe(name);
    expect(await confined.deleteMany([...names, ...moved])).toEqual({
      deleted: names.length + moved.length,
      errors: [],
    });
    expect(await keys(bucket)).toEqual([]);
  });

  it("is not left by a listing, wherever that is to begin", async () => {
    const bucket = await freshBucket();
    const [all, confined] = [await start(bucket), await start(`${bucket}/m`)];
    for (const path of ["a/secret", "m/1", "m/2", "m0", "z/secret"]) await put(all, path);

    for (const after of ["", "../", "../../z", "/", "\u0000", "\ud800", "0\u0000zz", "\\", "0", "%2e%2e", "?&=#+"]) {
      expect(await paths(confined, { after })).toEqual(["1", "2"].filter((path) => path > after));
    }
    expect(await paths(confined, { after: "1" })).toEqual(["2"]);
    for (const after of ["2", "z", "~", "\u{10ffff}", "x".repeat(5000), "é".repeat(2000)]) {
      expect(await list(confined, { after, delimiter: "/" })).toEqual({ objects: [], prefixes: [], next: undefined });
    }
  });

  it("leaves less room for a path, which is told before anything is sent", async () => {
    const storage = await start(`${await freshBucket()}/team-a`);
    const long = "s".repeat(1018);

    await expect(put(storage, long)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      message: expect.stringContaining("1017 bytes"),
    });
    await expect(storage.head(long)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(await storage.deleteMany([long, "absent"])).toMatchObject({ deleted: 0, errors: [{ path: long }] });
  });
});

it("keeps nothing below .well-known/acme-challenge/, as Google does not, and says so", async () => {
  const bucket = await freshBucket();

  await expect(put(await start(bucket), ".well-known/acme-challenge/x")).rejects.toMatchObject({ code: "BAD_REQUEST" });
  await put(await start(`${bucket}/p`), ".well-known/acme-challenge/x");

  expect(await keys(bucket)).toEqual(["p/.well-known/acme-challenge/x"]);
});

it("leaves out of listings what others have stored, and no path can name", async () => {
  const bucket = await freshBucket();
  const storage = await start(bucket);
  await put(storage, "a/b");
  for (const name of ["a/", "a//b", "../x", "a\\b"]) {
    const upload = `${server.url}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
    await fetch(upload, { method: "POST", body: "x" });
  }

  expect(await keys(bucket)).toEqual(["../x", "a/", "a//b", "a/b", "a\\b"]);
  expect(await paths(storage)).toEqual(["a/b"]);
  expect(await list(storage, { delimiter: "/" })).toMatchObject({ objects: [], prefixes: ["a/"] });
  expect((await list(storage, { limit: 1 })).objects).toHaveLength(1);
});

describe("the server", () => {
  it("that has no such bucket is told of", async () => {
    const storage = await start("no-such-bucket");

    const sentence = expect.stringMatching(/gs:\/\/no-such-bucket: HTTP 404: .*create the bucket/);
    await expect(storage.ping()).rejects.toMatchObject({ code: "BAD_GATEWAY", message: sentence });
    await expect(put(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY", message: sentence });
  });

  it("may be away, and is used again when it is back", async () => {
    const bucket = await freshBucket();
    const storage = await start(bucket);
    await put(storage, "x", "before");

    await server.kill();
    for (const result of await Promise.allSettled(calls(storage))) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    }
    await server.start();
    await server.createBucket(bucket); // it forgets

    await put(storage, "x", "after");
    expect(await text(storage, "x")).toBe("after");
  });

  it("may be frozen, which ends with timeout_ms, and all is well afterwards", async () => {
    const storage = await start(await freshBucket(), "&timeout_ms=1500");
    await put(storage, "x", "before");

    server.freeze();
    const started = Date.now();
    const results = await Promise.allSettled([...calls(storage), storage.deleteMany(["x"])]);
    const took = Date.now() - started;
    server.thaw();

    for (const result of results.slice(0, -1)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    }
    expect(results.at(-1)).toMatchObject({ value: { deleted: 0, errors: [{ error: { code: "UNAVAILABLE" } }] } });
    expect(took).toBeLessThan(3000);
    await put(storage, "y", "after"); // to `x` the late write may still come
    expect(await text(storage, "y")).toBe("after");
  });

  it("waits for a reader who is slower than timeout_ms", async () => {
    const bucket = await freshBucket();
    await put(await start(bucket), "large", Buffer.alloc(24 * MIB, "x"));
    const storage = await start(bucket, "&timeout_ms=1500");

    const found = await storage.get("large", {
      conditions: undefined,
      range: undefined,
      select: ({ size }) => ({ start: 0, end: size }),
    });
    let length = 0;
    for await (const chunk of (found as { body: AsyncIterable<Buffer> }).body) {
      if (length === 0) await new Promise((resolve) => setTimeout(resolve, 3000));
      length += chunk.length;
    }

    expect(length).toBe(24 * MIB);
  });
});

describe("a large body", () => {
  it("is put together from its chunks, with its headers, and read in part", async () => {
    const storage = await start(await freshBucket());
    const bytes = Buffer.alloc(20 * MIB, randomBytes(977));
    const headers = { contentType: "x/y", cacheControl: "no-store", metadata: { k: "v" } };
    async function* uneven(): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.length; at += 77_777) yield bytes.subarray(at, at + 77_777);
    }

    const { eTag, size } = await storage.put("large", uneven(), headers);

    expect(size).toBe(bytes.length);
    expect(await storage.head("large")).toMatchObject({ ...headers, eTag, size });
    expect((await read(storage, "large"))?.equals(bytes)).toBe(true);
    const slice = { start: 8 * MIB - 5, end: 8 * MIB + 5 };
    expect(await read(storage, "large", slice)).toEqual(bytes.subarray(slice.start, slice.end));
  });

  it("that has exactly the size of its chunks is stored like any other", async () => {
    const storage = await start(await freshBucket());
    for (const size of [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB]) {
      expect((await put(storage, "x", Buffer.alloc(size, "x"))).size).toBe(size);
      expect((await storage.head("x"))?.size).toBe(size);
    }
  });

  it.each([7, 9, 33])("leaves no object when it breaks off after %i MiB", async (sizeMib) => {
    const bucket = await freshBucket();
    const storage = await start(bucket);
    async function* breaking(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < sizeMib; sent += 1) yield Buffer.alloc(MIB, "x");
      yield* broken();
    }

    await expect(storage.put("x", breaking(), PLAIN)).rejects.toThrow("the client went away");

    expect(await keys(bucket)).toEqual([]);
  });

  // The emulator sums up all that it has with every chunk, which takes it ever longer.
  goesBothWays(async () => `gs://${await freshBucket()}?endpoint=${server.url}&timeout_ms=300000`);
});

describe("headers", () => {
  it("may be more than ASCII: they come back as they were, by a read and by a look", async () => {
    const bucket = await freshBucket();
    const storage = await start(bucket);
    const utf8 = Buffer.from("Zoë ☃").toString("latin1"); // as a header brings it
    const metadata = { utf8, latin1: "Zo\xeb \xff", plain: "Ada, 50% =?", tricky: "=?UTF-8?B?QQ==?=", empty: "" };

    await storage.put("x", stream("x"), { ...PLAIN, metadata });

    expect((await storage.head("x"))?.metadata).toEqual(metadata);
    expect((await info(storage, "x"))?.metadata).toEqual(metadata);
    const stored = (await (await bare("GET", `${bucket}/o/x`)).json()) as { metadata: Record<string, string> };
    expect(stored.metadata["plain"]).toBe("Ada, 50% =?");
  });

  it("of others may be any text", async () => {
    const bucket = await freshBucket();
    const storage = await start(bucket);
    await put(storage, "x");
    await bare(
      "PATCH",
      `${bucket}/o/x`,
      JSON.stringify({ metadata: { Name: "Zoë ☃", "a b": "no header", line: "a\nb" } }),
    );

    const found = (await storage.head("x"))?.metadata;

    expect(found).toEqual({ name: Buffer.from("Zoë ☃").toString("latin1"), line: "a b" });
  });

  it("of more than 8 KiB are refused before the body is read", async () => {
    const storage = await start(await freshBucket());
    const most = { ...PLAIN, metadata: { k: "v".repeat(8191) } };
    const more = { ...PLAIN, metadata: { k: "v".repeat(8192) } };

    await expect(storage.put("x", broken(), more)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      message: "the X-Meta-* headers take 8193 bytes, encoded for Google; it keeps 8192",
    });
    await storage.put("x", stream("x"), most);
    expect((await info(storage, "x"))?.metadata).toEqual(most.metadata);
  });

  it("tell the Cache-Control that was given, also where a read has it as its default", async () => {
    const storage = await start(await freshBucket());
    for (const cacheControl of ["private, max-age=0", "public, max-age=3600", "no-store,", "no-cache", "max-age=5"]) {
      await storage.put("x", stream("x"), { ...PLAIN, cacheControl });

      expect((await storage.head("x"))?.cacheControl).toBe(cacheControl);
      expect((await info(storage, "x"))?.cacheControl).toBe(cacheControl);
    }
  });
});

it("speaks TLS to a server whose authority the URL names, and to no other", async () => {
  const folder = temporaryFolder();
  const secure = await startFakeGcs({ tls: LOCALHOST });
  writeFileSync(`${folder.path}/ca.pem`, LOCALHOST.authority);
  try {
    const trusting = await open(configUrl(`gs://bucket?endpoint=${secure.url}&ca=${folder.path}/ca.pem`));
    const wary = await open(configUrl(`gs://bucket?endpoint=${secure.url}`));
    opened.push(trusting, wary);

    await expect(trusting.ping()).rejects.toMatchObject({ message: expect.stringMatching(/create the bucket/) });
    await expect(wary.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const env = { STORAGE_URL: `gs://bucket?endpoint=${secure.url}`, NODE_EXTRA_CA_CERTS: `${folder.path}/ca.pem` };
    const program = await startProgram(BIN, { args: ["--port", "0"], env });
    expect((await ask(program.url, "/storage/list")).status).toBe(502); // it was reached, and has no such bucket
    await program.stop();
  } finally {
    await secure.remove();
    folder.remove();
  }
});

async function info(storage: StorageBackend, path: string): Promise<Awaited<ReturnType<StorageBackend["head"]>>> {
  const select = ({ size }: { readonly size: number }) => ({ start: 0, end: size });
  const found = await storage.get(path, { conditions: undefined, range: undefined, select });
  if (found !== undefined && !Buffer.isBuffer(found.body)) for await (const chunk of found.body) void chunk;
  return found?.info;
}
