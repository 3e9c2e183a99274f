/** What buckets on a real server share, beyond the contract: `s3:` and `minio:` alike. */

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import {
  CreateBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl, type Open } from "@mikcar/core";
import { ask, startProgram, temporaryFolder, until } from "@mikcar/devkit";
import { LOCALHOST, type MinioServer, startMinio } from "@mikcar/devkit/minio";
import type { StorageBackend } from "../src/backend.ts";
import { broken, type Harness, list, paths, PLAIN, put, read, storageContract, stream, text } from "./contract.ts";
import { goesBothWays } from "./large.ts";
import { storageWire } from "./wire.ts";

export interface Scheme {
  readonly open: Open<StorageBackend>;
  /** @param parameters Begin with `&`, or are nothing. */
  url(server: MinioServer, bucket: string, parameters?: string): string;
  /** Where the contract is kept in a bucket: empty, or a slash and a prefix. */
  readonly below: string;
  /** What the log says to look at when the login is wrong. */
  readonly login: RegExp;
  /** Of the client, beside those of MinIO. */
  readonly quirks?: Harness["quirks"];
}

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const MIB = 1024 * 1024;

export function bucketBehaviour(name: string, { open, url, below, login, quirks = {} }: Scheme): void {
  let server: MinioServer;
  let bare: S3Client;
  const opened: StorageBackend[] = [];
  let buckets = 0;
  beforeAll(async () => {
    server = await startMinio();
    bare = bareClient(server);
  }, 900_000);
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close();
  });
  afterAll(async () => {
    bare?.destroy();
    await server?.remove();
  });

  async function freshBucket(): Promise<string> {
    buckets += 1;
    const Bucket = `bucket-${buckets}`;
    await bare.send(new CreateBucketCommand({ Bucket }));
    return Bucket;
  }
  async function start(place: string, parameters = ""): Promise<StorageBackend> {
    const storage = await open(configUrl(url(server, place, parameters)));
    opened.push(storage);
    return storage;
  }
  async function keys(Bucket: string): Promise<string[]> {
    const { Contents = [] } = await bare.send(new ListObjectsV2Command({ Bucket }));
    return Contents.map(({ Key = "" }) => Key);
  }
  /** MinIO tells the uploads of one key alone. */
  async function uploads(Bucket: string, Prefix: string): Promise<number> {
    return (await bare.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))).Uploads?.length ?? 0;
  }

  const harness: Harness = {
    open: async () => open(configUrl(url(server, (await freshBucket()) + below))),
    quirks: {
      ...quirks,
      "tag-of-bytes": "S3 makes it of the bytes",
      "objects-hide-folders": "MinIO looks for no objects in the folder of another one",
      "racing-folders": "MinIO answers IncompleteBody, and rarely AccessDenied",
      "short-segments": "MinIO keeps each segment as a folder of its file system",
    },
  };
  storageContract(`${name} on MinIO`, harness);
  storageWire(`${name} on MinIO`, harness);

  describe(`a prefix in the URL of ${name}`, () => {
    it("confines everything below it, and is not to be seen", async () => {
      const bucket = await freshBucket();
      const [all, confined] = [await start(bucket), await start(`${bucket}/team-a`)];
      for (const path of ["team-a0", "team-b/x", "x"]) await put(all, path, "other");

      await put(confined, "x", "mine");
      await confined.copy("x", "y/z");
      await confined.move("y/z", "y/w");

      expect(await keys(bucket)).toEqual(["team-a/x", "team-a/y/w", "team-a0", "team-b/x", "x"].sort(bytewise));
      expect(await text(all, "team-a/x")).toBe("mine");
      expect((await confined.head("x"))?.path).toBe("x");
      expect(await list(confined, { delimiter: "/" })).toMatchObject({ prefixes: ["y/"], objects: [{ path: "x" }] });
      expect(await confined.deleteMany(["x", "y/w", "team-b/x"])).toEqual({ deleted: 2, errors: [] });
      expect(await keys(bucket)).toEqual(["team-a0", "team-b/x", "x"].sort(bytewise));
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
      const long = `${"s".repeat(200)}/`.repeat(5) + "s".repeat(19);

      await expect(put(storage, long)).rejects.toMatchObject({
        code: "BAD_REQUEST",
        message: expect.stringMatching(/1017 bytes/),
      });
      await expect(storage.head(long)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    });
  });

  describe(`the server behind ${name}`, () => {
    it("that knows no such login is told of in the log, and the calls are BAD_GATEWAY", async () => {
      const wrong = { ...server, accessKey: "nobody", secretKey: "hush-wrong-key" };
      const storage = await open(configUrl(url(wrong, await freshBucket())));
      opened.push(storage);

      const calls = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "x"), list(storage)];
      for (const result of await Promise.allSettled(calls)) {
        const reason: unknown = result.status === "rejected" ? result.reason : undefined;
        expect(reason).toMatchObject({ code: "BAD_GATEWAY", message: expect.stringMatching(login) });
        expect(inspect(reason)).not.toContain("hush");
      }
    });

    it("that has no such bucket is told of", async () => {
      const storage = await start("no-such-bucket");

      await expect(storage.ping()).rejects.toMatchObject({
        code: "BAD_GATEWAY",
        message: expect.stringMatching(/no-such-bucket: NoSuchBucket: .*create the bucket/),
      });
      await expect(put(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
      await expect(read(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    });

    it("may be away, and is used again when it is back", async () => {
      const storage = await start(await freshBucket());
      await put(storage, "x", "before");

      await server.kill();
      const away = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "x"), list(storage)];
      for (const result of await Promise.allSettled(away)) {
        expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
      }
      await server.start();

      expect(await text(storage, "x")).toBe("before");
    });

    it("may be frozen, which ends with timeout_ms, and all is well afterwards", async () => {
      const storage = await start(await freshBucket(), "&timeout_ms=1500");
      await put(storage, "x", "before");

      server.freeze();
      const frozen = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "late"), list(storage)];
      const results = await Promise.allSettled(frozen);
      server.thaw();

      for (const result of results) {
        expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
      }
      expect(await text(storage, "x")).toBe("before");
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

  describe(`a large body in ${name}`, () => {
    it("is put together from its parts, with its headers, and read in part", async () => {
      const bucket = await freshBucket();
      const storage = await start(bucket);
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
      expect(await uploads(bucket, "large")).toBe(0);
    });

    it("that has exactly the size of its parts is stored like any other", async () => {
      const storage = await start(await freshBucket());
      for (const size of [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB]) {
        expect((await put(storage, "x", Buffer.alloc(size, "x"))).size).toBe(size);
        expect((await storage.head("x"))?.size).toBe(size);
      }
    });

    it.each([7, 9, 33])("leaves neither an object nor parts when it breaks off after %i MiB", async (sizeMib) => {
      const bucket = await freshBucket();
      const storage = await start(bucket);
      async function* breaking(): AsyncGenerator<Buffer> {
        for (let sent = 0; sent < sizeMib; sent += 1) yield Buffer.alloc(MIB, "x");
        yield* broken();
      }

      await expect(storage.put("x", breaking(), PLAIN)).rejects.toThrow("the client went away");

      expect(await uploads(bucket, "x")).toBe(0);
      expect(await keys(bucket)).toEqual([]);
    });

    it("is one step with its conditions, also in parts", async () => {
      const bucket = await freshBucket();
      const storage = await start(bucket);
      async function* large(): AsyncGenerator<Buffer> {
        yield Buffer.alloc(12 * MIB, "x");
        await put(storage, "x", "meanwhile");
        yield Buffer.alloc(MIB, "x");
      }

      await expect(storage.put("x", large(), PLAIN, { ifNoneMatch: "*" })).rejects.toMatchObject({
        code: "PRECONDITION_FAILED",
      });

      expect(await text(storage, "x")).toBe("meanwhile");
      expect(await uploads(bucket, "x")).toBe(0);
    });

    goesBothWays(async () => url(server, await freshBucket()));
  });

  describe(`metadata in ${name}`, () => {
    it("may be more than ASCII: it comes back as it was, and others read it as RFC 2047", async () => {
      const bucket = await freshBucket();
      const storage = await start(bucket);
      const utf8 = Buffer.from("Zoë ☃").toString("latin1"); // as a header brings it
      const metadata = { utf8, latin1: "Zo\xeb \xff", plain: "Ada, 50% =?", tricky: "=?UTF-8?B?QQ==?=", empty: "" };

      await storage.put("x", stream("x"), { ...PLAIN, metadata });

      expect((await storage.head("x"))?.metadata).toEqual(metadata);
      const { Metadata = {} } = await bare.send(new HeadObjectCommand({ Bucket: bucket, Key: "x" }));
      expect(Metadata["plain"]).toBe("Ada, 50% =?");
      expect(Metadata["utf8"]).toBe(`=?UTF-8?B?${Buffer.from("Zoë ☃").toString("base64")}?=`);
    });

    it("of others may be encoded as they like", async () => {
      const bucket = await freshBucket();
      const storage = await start(bucket);
      const Metadata = { q: "=?UTF-8?Q?Zo=C3=AB_x?=", two: "=?utf-8?b?Wm8=?= =?utf-8?b?w6s=?=" };
      await bare.send(new PutObjectCommand({ Bucket: bucket, Key: "x", Body: "x", Metadata }));

      const found = (await storage.head("x"))?.metadata ?? {};

      expect(Buffer.from(found["q"] ?? "", "latin1").toString()).toBe("Zoë x");
      expect(Buffer.from(found["two"] ?? "", "latin1").toString()).toBe("Zoë");
    });

    it("of more than 2 KB is refused before the body is read", async () => {
      const storage = await start(await freshBucket());
      const headers = { ...PLAIN, metadata: { k: "v".repeat(2048) } };

      await expect(storage.put("x", broken(), headers)).rejects.toMatchObject({
        code: "BAD_REQUEST",
        message: "the X-Meta-* headers take 2049 bytes, encoded for S3; it keeps 2048",
      });
    });
  });

  it(`gives URLs of ${name} that read and write without a login, until they expire`, async () => {
    const storage = await start(`${await freshBucket()}/team a`);
    const inAMinute = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000);

    const put = await storage.presign("PUT", "a b/ü+%.txt", inAMinute);
    const get = await storage.presign("GET", "a b/ü+%.txt", inAMinute);
    const stored = await fetch(put?.url ?? "", { method: "PUT", body: "hello", headers: put?.headers ?? {} });
    const answer = await fetch(get?.url ?? "");

    expect([stored.status, answer.status, await answer.text()]).toEqual([200, 200, "hello"]);
    expect(await text(storage, "a b/ü+%.txt")).toBe("hello");
    const late = await storage.presign("GET", "a b/ü+%.txt", new Date(Date.now() + 1000));
    await until("the URL has expired", async () => (await fetch(late?.url ?? "")).status === 403);
  });

  it(`speaks TLS with ${name} to a server whose authority the URL names, and with no other`, async () => {
    const folder = temporaryFolder();
    const secure = await startMinio({ tls: LOCALHOST });
    writeFileSync(`${folder.path}/ca.pem`, LOCALHOST.authority);
    try {
      const trusting = await open(configUrl(url(secure, "bucket", `&ca=${folder.path}/ca.pem`)));
      const wary = await open(configUrl(url(secure, "bucket")));
      opened.push(trusting, wary);

      await expect(trusting.ping()).rejects.toMatchObject({ message: expect.stringMatching(/NoSuchBucket/) });
      await expect(wary.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      const env = { STORAGE_URL: url(secure, "bucket"), NODE_EXTRA_CA_CERTS: `${folder.path}/ca.pem` };
      const program = await startProgram(BIN, { args: ["--port", "0"], env });
      expect((await ask(program.url, "/storage/list")).status).toBe(502); // it was reached, and has no such bucket
      await program.stop();
    } finally {
      await secure.remove();
      folder.remove();
    }
  });
}

export function bareClient({
  url: endpoint,
  accessKey: accessKeyId,
  secretKey: secretAccessKey,
}: MinioServer): S3Client {
  return new S3Client({
    region: "us-east-1",
    endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
