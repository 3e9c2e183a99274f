/** What both clients make of a server that fails in ways that a real one does not on demand. */

import { afterEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import type { StorageBackend } from "../src/backend.ts";
import { open as openMinio } from "../src/backends/minio/index.ts";
import { open as openS3 } from "../src/backends/s3/index.ts";
import { broken, list, PLAIN, put, read, stream, text } from "./contract.ts";
import { complain, type FakeBucket, type Heard, type Say, startFakeBucket, xml } from "./fake-bucket.ts";

const MIB = 1024 * 1024;
const HEAD = { ETag: '"t"', "Content-Length": "10", "Last-Modified": new Date(0).toUTCString() };
const HERE = { ETag: '"t"', "Last-Modified": new Date(0).toUTCString() };

const CLIENTS = [
  {
    name: "the AWS SDK",
    open: (address: string) =>
      openS3(configUrl(`s3://bucket?endpoint=http://${address}&access_key_id=a&secret_access_key=b&timeout_ms=2000`)),
  },
  {
    name: "MinIO's client",
    open: (address: string) => openMinio(configUrl(`minio://a:b@${address}/bucket?timeout_ms=2000`)),
  },
];

describe.each(CLIENTS)("$name", ({ name, open }) => {
  let server: FakeBucket;
  let storage: StorageBackend;
  async function start(say: Say): Promise<void> {
    server = await startFakeBucket(say);
    storage = await open(server.address);
  }
  afterEach(async () => {
    await storage.close();
    await server.close();
  });
  const lines = (): string[] => server.heard.map(({ line }) => line.replace(/[?&]x-id=\w+/, ""));

  it("names the objects that a bulk delete leaves", async () => {
    await start((response, { line }) => {
      if (line.startsWith("HEAD")) response.writeHead(line.includes("absent") ? 404 : 200, HEAD).end();
      else {
        const error = "<Error><Key>a &amp; b</Key><Code>AccessDenied</Code><Message>no</Message></Error>";
        xml(response, 200, `<DeleteResult><Deleted><Key>c&lt;d&gt;</Key></Deleted>${error}</DeleteResult>`);
      }
    });

    const { deleted, errors } = await storage.deleteMany(["a & b", "c<d>", "absent"]);

    expect(deleted).toBe(1);
    expect(errors).toEqual([{ path: "a & b", error: expect.objectContaining({ code: "BAD_GATEWAY" }) }]);
    const { body, headers } = server.heard.at(-1) as Heard;
    expect(body).toContain("<Key>a &amp; b</Key>");
    expect(body).toContain("<Key>c&lt;d&gt;</Key>");
    expect(body).not.toContain("absent");
    expect(headers["content-md5"] ?? headers["x-amz-checksum-crc32"]).toBeDefined();
  });

  it("believes no 200 that turns out to be a failure", async () => {
    await start((response, { line }) => {
      if (line.startsWith("HEAD")) response.writeHead(200, HEAD).end();
      else if (line.startsWith("POST /x?uploads")) {
        xml(response, 200, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>");
      } else if (line.includes("partNumber")) response.writeHead(200, { ETag: '"p"' }).end();
      else if (line.startsWith("DELETE")) response.writeHead(204).end();
      else complain(response, 200, "InternalError");
    });

    await expect(storage.copy("a", "b")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(put(storage, "x", Buffer.alloc(9 * MIB))).rejects.toMatchObject({ code: "UNAVAILABLE" });

    expect(lines().at(-1)).toMatch(/^DELETE \/x\?.*uploadId=1/);
  });

  it("tries again while the server cannot, and tells when it still cannot", async () => {
    let left = 1;
    await start((response) => {
      left -= 1;
      if (left >= 0) complain(response, 503, "SlowDown");
      else response.writeHead(200, HERE).end();
    });

    expect(await put(storage, "x", "x")).toEqual({ size: 1, eTag: "t" });
    left = 1000;
    await expect(put(storage, "x", "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(server.heard.length).toBeLessThan(8);
  });

  it("uses another connection when a kept one has been closed", async () => {
    await start((response) => {
      response.writeHead(200, HERE).end();
      setTimeout(() => response.socket?.destroy(), 1); // without a word of it before
    });

    for (let index = 0; index < 20; index += 1) {
      expect(await put(storage, "x", "x")).toEqual({ size: 1, eTag: "t" });
      await new Promise((resolve) => setTimeout(resolve, index % 3));
    }
  });

  it("tells the reader when a body breaks off", async () => {
    await start((response) => {
      response.writeHead(200, { ...HERE, "Content-Length": 100 });
      response.write("the beginning");
      setTimeout(() => response.socket?.destroy(), 50);
    });

    await expect(read(storage, "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("lists folder by folder when a page begins inside of one, as MinIO needs it; Amazon does not", async () => {
    let headers = {};
    await start((response) => {
      response.writeHead(200, headers).end("<ListBucketResult><Name>bucket</Name></ListBucketResult>");
    });
    const requests = async (): Promise<string[]> => {
      const before = server.heard.length;
      await list(storage, { after: "a/b/c" });
      return server.heard.slice(before).map(({ line }) => {
        const query = new URLSearchParams(line.slice(line.indexOf("?")));
        return `${query.get("prefix") ?? ""} ${query.get("start-after") ?? ""}`;
      });
    };
    const byFolder = ["a/b/ a/b/c", "a/b0 ", "a/ a/b0", "a0 ", " a0"];

    expect(await requests()).toEqual(byFolder);
    headers = { Server: "AmazonS3" };
    expect(await requests()).toEqual(byFolder); // nobody knows before the first answer
    expect(await requests()).toEqual(name === "the AWS SDK" ? [" a/b/c"] : byFolder);
  });

  it("takes no answer for success that is not the server's", async () => {
    await start((response) => void response.writeHead(200, { "Content-Type": "text/html" }).end("<p>Log in"));

    const calls = [put(storage, "x", "x"), list(storage), read(storage, "x")];
    for (const result of await Promise.allSettled(calls)) {
      const code: unknown = expect.stringMatching(/^(?:BAD_GATEWAY|UNAVAILABLE)$/);
      expect(result).toMatchObject({ status: "rejected", reason: { code } });
    }
  });

  it("ends a body that stands still", async () => {
    await start((response) => {
      response.writeHead(200, { ...HERE, "Content-Length": 100 });
      response.write("the beginning");
    });

    await expect(read(storage, "x")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("no bytes came for 2000 ms"),
    });
  });

  it("waits once, when the server says nothing", async () => {
    await start(() => {});

    await expect(put(storage, "x", "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });

    expect(server.heard).toHaveLength(1);
  });

  it("sends a conditional write again that met another one", async () => {
    await start((response, { line }) => {
      if (line.startsWith("HEAD")) response.writeHead(404).end();
      else if (server.heard.length < 4) complain(response, 409, "ConditionalRequestConflict");
      else response.writeHead(200, HERE).end();
    });

    expect(await storage.put("x", stream("x"), PLAIN, { ifNoneMatch: "*" })).toEqual({ size: 1, eTag: "t" });

    expect(lines()).toEqual(["HEAD /x", "PUT /x", "PUT /x", "PUT /x"]);
    expect(server.heard.at(-1)?.headers["if-none-match"]).toBe("*");
  });

  it("is sent elsewhere with a word about the region", async () => {
    await start((response) => complain(response, 301, "PermanentRedirect"));

    await expect(text(storage, "x")).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringContaining("set region="),
    });
  });

  it("reads and writes in one request each, and looks first only for a condition", async () => {
    await start((response) => response.writeHead(200, { ...HERE, "Content-Length": 0 }).end());

    await put(storage, "x", "x");
    await text(storage, "x");
    await storage.put("x", stream("x"), PLAIN, { ifMatch: ["t"] });

    expect(lines()).toEqual(["PUT /x", "GET /x", "HEAD /x", "PUT /x"]);
    expect(server.heard.at(-1)?.headers["if-match"]).toBe('"t"');
  });

  it("keeps what nobody has sent away from the server: neither paths nor metadata that it does not take", async () => {
    await start((response) => response.writeHead(200, HERE).end());

    const metadata = { k: "v".repeat(3000) };
    await expect(storage.put("x", broken(), { ...PLAIN, metadata })).rejects.toMatchObject({ code: "BAD_REQUEST" });
    await expect(storage.put("x", broken(), { ...PLAIN, contentType: "\xe9" })).rejects.toMatchObject({
      code: "BAD_REQUEST",
    });

    expect(server.heard).toEqual([]);
  });
});
