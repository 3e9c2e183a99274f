/** What is sent to Google, and what is made of answers that an emulator does not give: a stand-in of ours says them. */

import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { configUrl } from "@mikcar/core";
import type { ListedObject, ListQuery, Page, StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/gs/index.ts";
import type { GcsBucket } from "../src/backends/gs/bucket.ts";
import { Place } from "../src/backends/cloud/place.ts";
import { listPage } from "../src/backends/gs/listing.ts";
import { byteString, page } from "../src/listing.ts";
import { pathFault } from "../src/path.ts";
import { broken, list, PLAIN, put, read, stream, text } from "./contract.ts";
import { type FakeBucket, type Heard, type Say, startFakeBucket } from "./fake-bucket.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50_000 : 2000;
const MIB = 1024 * 1024;
const TIME = new Date(0);
const OBJECT = { name: "x", size: "1", generation: "7", updated: TIME.toISOString(), contentType: "x/y" };
const SESSION = "/upload/session?upload_id=secret";

let server: FakeBucket;
let storage: StorageBackend;
async function start(say: Say, parameters = ""): Promise<void> {
  server = await startFakeBucket(say);
  storage = await open(configUrl(`gs://bucket?endpoint=http://${server.address}&timeout_ms=2000${parameters}`));
}
afterEach(async () => {
  await storage?.close();
  await server?.close();
});

function json(response: ServerResponse, body: object, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}

function complain(response: ServerResponse, status: number, message = "because"): void {
  json(response, { error: { code: status, message, errors: [{ reason: "x", message }] } }, status);
}

function lines(): string[] {
  return server.heard.map(({ line }) =>
    line
      .replace("/storage/v1/b/bucket/o", "")
      .replace(/[?&]fields=[^&]*/, "")
      .replace(/[?&]maxBytes\w+=\d+/, ""),
  );
}

/** Takes an upload in chunks, as Google does. @param say What to answer to a chunk instead, when that is anything. */
function session(say: (response: ServerResponse, heard: Heard, count: number) => boolean = () => false): Say {
  let there = 0;
  let count = 0;
  return (response, heard) => {
    const { line, headers } = heard;
    const [, first, last, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(String(headers["content-range"])) ?? [];
    if (line.startsWith("GET")) return json(response, OBJECT);
    if (line.startsWith("DELETE")) return void response.writeHead(499).end();
    if (line.startsWith("POST")) return json(response, OBJECT, 200, { Location: `https://other.name${SESSION}` });
    count += 1;
    if (say(response, heard, count)) return;
    if (first !== undefined && Number(first) === there) there = Number(last) + 1;
    if (String(there) === total) return json(response, { size: total, generation: "8" });
    response.writeHead(308, there === 0 ? {} : { Range: `bytes=0-${there - 1}` }).end();
  };
}

describe("conditions", () => {
  it("go along with what they are about", async () => {
    await start((response, { line }) => {
      if (line.includes("alt=media"))
        response.writeHead(200, { "X-Goog-Generation": "7", "Content-Length": "0" }).end();
      else if (line.includes("rewriteTo")) json(response, { done: true, resource: OBJECT });
      else json(response, OBJECT);
    });

    await storage.put("x", stream("x"), PLAIN, { ifMatch: ["7"] });
    await storage.delete("x", { ifMatch: ["7"] });
    await storage.move("x", "y");
    const select = () => ({ start: 0, end: 0 });
    await storage.get("x", { conditions: { ifNoneMatch: ["7"] }, range: undefined, select });
    await storage.get("x", { conditions: undefined, range: { suffix: 3 }, select });

    expect(lines()).toEqual([
      "GET /x",
      "POST /upload?uploadType=multipart&ifGenerationMatch=7",
      "GET /x",
      "DELETE /x?ifGenerationMatch=7",
      "GET /x",
      "POST /x/rewriteTo/b/bucket/o/y?ifSourceGenerationMatch=7",
      "DELETE /x?ifGenerationMatch=7",
      "GET /x",
      "GET /x?alt=media",
    ]);
    expect(server.heard.at(-1)?.headers).toMatchObject({ range: "bytes=-3", "accept-encoding": "gzip" });
  });

  it("that nothing is there go along with both kinds of upload", async () => {
    const taking = session();
    await start((response, heard) => {
      if (heard.line.startsWith("GET")) complain(response, 404, "No such object: bucket/x");
      else if (heard.line.includes("multipart")) json(response, OBJECT);
      else taking(response, heard);
    });

    await storage.put("x", stream("x"), PLAIN, { ifNoneMatch: "*" });
    await storage.put("x", stream(Buffer.alloc(9 * MIB)), PLAIN, { ifNoneMatch: "*" });

    expect(lines().filter((line) => line.startsWith("POST"))).toEqual([
      "POST /upload?uploadType=multipart&ifGenerationMatch=0",
      "POST /upload?uploadType=resumable&ifGenerationMatch=0",
    ]);
  });

  it.each([
    ["begins", 0],
    ["ends", 2],
  ])("that do not hold when a large upload %s refuse it", async (_when, failing) => {
    let generation = "7";
    const taking = session((response, _heard, count) => {
      if (count !== failing) return false;
      generation = "8";
      complain(response, 412);
      return true;
    });
    await start((response, heard) => {
      if (heard.line.startsWith("GET")) json(response, { ...OBJECT, generation });
      else if (heard.line.startsWith("POST") && failing === 0) {
        generation = "8";
        complain(response, 412);
      } else taking(response, heard);
    });

    const writing = storage.put("x", stream(Buffer.alloc(9 * MIB)), PLAIN, { ifMatch: ["7"] });

    await expect(writing).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
  });

  it("that do not hold any more keep a delete and a move from the newer version", async () => {
    let generation = 7;
    await start((response, { line }) => {
      const asked = /ifS?o?u?r?c?e?GenerationMatch=(\d+)/.exec(line)?.[1];
      if (line.startsWith("GET")) return json(response, { ...OBJECT, generation: String(generation++) }); // another one comes
      if (asked !== undefined && Number(asked) < generation) return complain(response, 412);
      return json(response, { done: true, resource: OBJECT });
    });

    await expect(storage.delete("x", { ifMatch: ["7"] })).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
    await expect(storage.move("x", "y")).rejects.toMatchObject({ code: "CONFLICT" });

    expect(lines().filter((line) => line.startsWith("DELETE"))).toEqual(["DELETE /x?ifGenerationMatch=7"]);
  });
});

describe("requests", () => {
  it("are one for each call that needs no more", async () => {
    await start((response, { line }) => {
      if (line.includes("rewriteTo")) json(response, { done: true, resource: OBJECT });
      else if (line.includes("alt=media"))
        response.writeHead(200, { "X-Goog-Generation": "7", "Content-Length": "0" }).end();
      else json(response, OBJECT);
    });

    await put(storage, "x", "x");
    await text(storage, "x");
    await storage.head("x");
    await storage.copy("x", "y");
    await storage.delete("x");

    expect(lines()).toEqual([
      "POST /upload?uploadType=multipart",
      "GET /x?alt=media",
      "GET /x",
      "POST /x/rewriteTo/b/bucket/o/y",
      "DELETE /x",
    ]);
    const { body, headers } = server.heard[0] as Heard;
    expect(headers["content-type"]).toMatch(/^multipart\/related; boundary=/);
    expect(body).toContain('{"name":"x","contentType":"text/plain"}');
  });

  it("go on with a copy that Google does in steps", async () => {
    await start((response, { line }) => {
      if (line.includes("rewriteToken=two")) json(response, { done: true, resource: { size: "5", generation: "9" } });
      else json(response, { done: false, rewriteToken: line.includes("=one") ? "two" : "one" });
    });

    expect(await storage.copy("x", "y")).toEqual({ size: 5, eTag: "9" });

    expect(lines()).toHaveLength(3);
  });

  it.each([
    "null",
    "5",
    "[]",
    '"x"',
    "{",
    '{"items":5}',
    '{"items":[null]}',
    '{"items":[{"name":5}]}',
    '{"prefixes":5}',
  ])("take no %s for an answer of Google's", async (answer) => {
    await start((response) => void response.end(answer));

    await expect(list(storage)).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    await expect(storage.head("x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    await expect(put(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
  });

  it.each([{}, { done: false }, { done: true }, { done: "no" }])(
    "do not go on with a copy that is answered %j, which is not Google's",
    async (answer) => {
      await start((response) => {
        if (server.heard.length > 5)
          response.socket?.destroy(); // else it would go on for ever
        else json(response, answer);
      });

      await expect(storage.copy("x", "y")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    },
  );

  it("are sent again while Google cannot, and it is told when it still cannot", async () => {
    let left = 1;
    await start((response) => {
      left -= 1;
      if (left >= 0) complain(response, 503);
      else json(response, OBJECT);
    });

    expect(await put(storage, "x", "x")).toEqual({ size: 1, eTag: "7" });
    left = 1000;
    await expect(put(storage, "x", "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(server.heard.length).toBeLessThan(8);
  });

  it("take another connection when a kept one has been closed", async () => {
    await start((response) => {
      json(response, OBJECT);
      setTimeout(() => response.socket?.destroy(), 1); // without a word of it before
    });

    for (let index = 0; index < 20; index += 1) {
      expect(await put(storage, "x", "x")).toEqual({ size: 1, eTag: "7" });
      await new Promise((resolve) => setTimeout(resolve, index % 3));
    }
  });

  it("are not repeated with a condition when their answer is lost: it may have been done", async () => {
    await start((response, { line }) => {
      if (line.startsWith("GET")) json(response, OBJECT, 200, { Connection: "close" });
      else response.socket?.destroy();
    });

    await expect(storage.put("x", stream("x"), PLAIN, { ifMatch: ["7"] })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });

    expect(lines().filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  it.each([
    [401, "BAD_GATEWAY", /look at GOOGLE_APPLICATION_CREDENTIALS/],
    [403, "BAD_GATEWAY", /look at GOOGLE_APPLICATION_CREDENTIALS/],
    [429, "UNAVAILABLE", /HTTP 429: because/],
    [500, "UNAVAILABLE", /HTTP 500: because/],
    [400, "BAD_GATEWAY", /HTTP 400: because/],
  ])("that are answered %i are %s", async (status, code, sentence) => {
    await start((response) => complain(response, status));
    const expected = { code, message: expect.stringMatching(sentence) };

    await expect(storage.ping()).rejects.toMatchObject(expected);
    await expect(put(storage, "x")).rejects.toMatchObject(expected);
    await expect(read(storage, "x")).rejects.toMatchObject(expected);
    await expect(storage.delete("x")).rejects.toMatchObject(expected);
  });

  it("tell a bucket that is not there from an object that is not", async () => {
    await start((response) => complain(response, 404, "The specified bucket does not exist."));

    const expected = { code: "BAD_GATEWAY", message: expect.stringMatching(/create the bucket/) };
    await expect(storage.head("x")).rejects.toMatchObject(expected);
    await expect(read(storage, "x")).rejects.toMatchObject(expected);
    await expect(storage.delete("x")).rejects.toMatchObject(expected);
  });

  it("are none for what Google does not keep", async () => {
    await start((response) => json(response, OBJECT));
    const refused = { code: "BAD_REQUEST" };

    await expect(storage.put("x", broken(), { ...PLAIN, contentType: "\xe9" })).rejects.toMatchObject(refused);
    await expect(storage.put("x", broken(), { ...PLAIN, metadata: { k: "v".repeat(9000) } })).rejects.toMatchObject(
      refused,
    );
    await expect(storage.put(".well-known/acme-challenge/x", broken(), PLAIN)).rejects.toMatchObject(refused);

    expect(server.heard).toEqual([]);
  });
});

describe("an upload in chunks", () => {
  it("sends each once, in order, to the server that the URL names", async () => {
    await start(session());

    expect(await storage.put("x", stream(Buffer.alloc(17 * MIB)), PLAIN)).toEqual({ size: 17 * MIB, eTag: "8" });

    const chunks = server.heard.filter(({ line }) => line.startsWith("PUT"));
    expect(chunks.map(({ headers }) => headers["content-range"])).toEqual([
      `bytes 0-${8 * MIB - 1}/*`,
      `bytes ${8 * MIB}-${16 * MIB - 1}/*`,
      `bytes ${16 * MIB}-${17 * MIB - 1}/${17 * MIB}`,
    ]);
    expect(new Set(chunks.map(({ line }) => line))).toEqual(new Set([`PUT ${SESSION}`]));
  });

  it("tells the end alone when the last chunk was full", async () => {
    await start(session());

    expect(await storage.put("x", stream(Buffer.alloc(16 * MIB)), PLAIN)).toEqual({ size: 16 * MIB, eTag: "8" });

    expect(server.heard.at(-1)?.headers["content-range"]).toBe(`bytes */${16 * MIB}`);
  });

  it("asks how far it is when an answer is lost, and goes on from there", async () => {
    await start(
      session((response, _heard, count) => {
        if (count === 1) response.socket?.destroy();
        if (count === 2) response.writeHead(308, { Range: `bytes=0-${MIB - 1}` }).end();
        if (count === 3) response.writeHead(308, { Range: `bytes=0-${8 * MIB - 1}` }).end();
        if (count === 4) json(response, { size: String(9 * MIB), generation: "8" });
        return true;
      }),
    );

    expect(await storage.put("x", stream(Buffer.alloc(9 * MIB)), PLAIN)).toEqual({ size: 9 * MIB, eTag: "8" });

    const sent = server.heard.filter(({ line }) => line.startsWith("PUT"));
    expect(sent.map(({ headers, body }) => [headers["content-range"], body.length])).toEqual([
      [`bytes 0-${8 * MIB - 1}/*`, 8 * MIB],
      ["bytes */*", 0],
      [`bytes ${MIB}-${8 * MIB - 1}/*`, 7 * MIB],
      [`bytes ${8 * MIB}-${9 * MIB - 1}/${9 * MIB}`, MIB],
    ]);
  });

  it("sends again what Google could not take", async () => {
    await start(
      session((response, _heard, count) => {
        if (count === 2) complain(response, 503);
        return count === 2;
      }),
    );

    expect(await storage.put("x", stream(Buffer.alloc(9 * MIB)), PLAIN)).toEqual({ size: 9 * MIB, eTag: "8" });

    const ranges = server.heard
      .filter(({ line }) => line.startsWith("PUT"))
      .map(({ headers }) => headers["content-range"]);
    const last = `bytes ${8 * MIB}-${9 * MIB - 1}/${9 * MIB}`;
    expect(ranges).toEqual([`bytes 0-${8 * MIB - 1}/*`, last, `bytes */${9 * MIB}`, last]);
  });

  it.each([
    ["the body breaks off", undefined],
    ["Google refuses a chunk", 403],
    ["Google forgets it", 410],
    ["Google cannot, for long", 503],
  ])("is cancelled when %s", async (_what, status) => {
    async function* body(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < 20; sent += 1) yield Buffer.alloc(MIB);
      if (status === undefined) yield* broken();
    }
    await start(
      session((response) => {
        if (status !== undefined) complain(response, status);
        return status !== undefined;
      }),
    );

    await expect(storage.put("x", body(), PLAIN)).rejects.toThrow(status === undefined ? "the client went away" : /./);

    expect(server.heard.at(-1)?.line).toBe(`DELETE ${SESSION}`);
    expect(server.heard.some(({ headers }) => /\/\d+$/.test(String(headers["content-range"])))).toBe(false);
  });
});

describe("a body", () => {
  const HERE = { "X-Goog-Generation": "7", "Content-Length": "100" };

  it("whose length nobody tells is no empty one", async () => {
    await start((response) => void response.writeHead(200, { "X-Goog-Generation": "7" }).end("bytes"));

    await expect(read(storage, "x")).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(/Content-Length/),
    });
  });

  it("that breaks off is told to the reader", async () => {
    await start((response) => {
      response.writeHead(200, HERE).write("the beginning");
      setTimeout(() => response.socket?.destroy(), 50);
    });

    await expect(read(storage, "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("that stands still has an end", async () => {
    await start((response) => void response.writeHead(200, HERE).write("the beginning"));

    await expect(read(storage, "x")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("no bytes came for 2000 ms"),
    });
  });

  it("is of the version that was looked at, also where the server does not look at the condition", async () => {
    let version = 6;
    await start((response, { line }) => {
      if (line.includes("alt=media"))
        response.writeHead(200, { "X-Goog-Generation": "8", "Content-Length": "1" }).end("8");
      else json(response, { ...OBJECT, generation: String((version += 1)) });
    });
    const select = ({ size }: { readonly size: number }) => ({ start: 0, end: size });

    const found = await storage.get("x", { conditions: { ifMatch: "*" }, range: undefined, select });

    expect(found?.info.eTag).toBe("8");
    expect(lines().filter((line) => line.includes("media"))).toHaveLength(2);
  });
});

describe("many deletes", () => {
  it("are one request for each hundred; what Google cannot do now is tried alone", async () => {
    await start((response, { line, body }) => {
      if (!line.startsWith("POST /batch")) return void response.writeHead(204).end();
      const calls = [...body.matchAll(/Content-ID: <(.*?)>\r\n\r\n(DELETE \S+) HTTP/g)];
      const parts = calls.reverse().map(([, id = "", call = ""]) => {
        const status = call.endsWith("absent")
          ? 404
          : call.endsWith("denied")
            ? 403
            : call.endsWith("busy")
              ? 503
              : 204;
        const text = JSON.stringify({ error: { code: status, message: `about ${call}` } });
        return `--b\r\nContent-Type: application/http\r\nContent-ID: <response-${id}>\r\n\r\nHTTP/1.1 ${status} X\r\n\r\n${text}\r\n`;
      });
      response.writeHead(200, { "Content-Type": "multipart/mixed; boundary=b" }).end(`${parts.join("")}--b--\r\n`);
    });
    const there = Array.from({ length: 150 }, (_, index) => `d/${index} +?`);

    const { deleted, errors } = await storage.deleteMany([...there, "absent", "denied", "busy"]);

    expect(deleted).toBe(151);
    expect(errors).toEqual([{ path: "denied", error: expect.objectContaining({ code: "BAD_GATEWAY" }) }]);
    expect(lines().sort()).toEqual(["DELETE /busy", "POST /batch/storage/v1", "POST /batch/storage/v1"]);
    expect(server.heard[0]?.body).toContain("DELETE /storage/v1/b/bucket/o/d%2F0%20%2B%3F HTTP/1.1\r\n");
  });

  it("fail each when the request fails", async () => {
    await start((response) => complain(response, 403));

    const { deleted, errors } = await storage.deleteMany(["a", "b"]);

    expect([deleted, errors.map(({ path }) => path)]).toEqual([0, ["a", "b"]]);
  });
});

describe("a listing", () => {
  const segment = fc.string({
    unit: fc.constantFrom("a", "b", "!", "-", ".", "0", "é", "😀"),
    minLength: 1,
    maxLength: 3,
  });
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const all = fc.uniqueArray(
    path.filter((each) => pathFault(each) === undefined),
    { maxLength: 30 },
  );
  const offset = fc.oneof(
    path,
    path.map((each) => `${each}/`),
    fc.string({
      unit: fc.constantFrom("a", "b", "/", ".", "-", "0", "\u0000", "\u0085", "[", "~", "\\", "é", "😀", "\ud800"),
      maxLength: 8,
    }),
  );

  it.each([true, false])(
    "is that of the other backends, whatever there is and wherever it begins (folders count: %s)",
    async (areFoldersCounted) => {
      await fc.assert(
        fc.asyncProperty(
          all,
          fc.option(path, { nil: "" }),
          fc.option(offset, { nil: undefined }),
          fc.integer({ min: 1, max: 8 }),
          fc.constantFrom("/" as const, undefined),
          fc.constantFrom("", "base/"),
          async (keys, prefix, after, limit, delimiter, base) => {
            const query: ListQuery = { prefix, after, limit, delimiter };
            const others = base === "" ? [] : ["bas", "base0"];
            const bucket = bucketOf([...keys.map((key) => base + key), ...others], areFoldersCounted);

            expect(await listPage(bucket, new Place(base), query)).toEqual(pageOf(keys, query));
          },
        ),
        { numRuns: RUNS },
      );
    },
  );
});

/** @param areFoldersCounted As Google does; else all folders come along with as many objects as are asked for. */
function bucketOf(keys: readonly string[], areFoldersCounted: boolean): Pick<GcsBucket, "list"> {
  const sorted = keys.toSorted(bytewise);
  return {
    list: ({ prefix, start, token, delimiter, limit }) => {
      const entries = new Set<string>();
      for (const key of sorted) {
        if (!key.startsWith(prefix) || bytewise(key, start) < 0) continue;
        const slash = delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
        entries.add(slash === -1 ? key : key.slice(0, slash + 1));
      }
      const isFolder = (entry: string): boolean => delimiter !== undefined && entry.endsWith("/");
      const left = [...entries].filter((entry) => token === undefined || bytewise(entry, token) > 0);
      const counted = areFoldersCounted ? left : left.filter((entry) => !isFolder(entry));
      const listed = counted.slice(0, limit);
      const objects = listed.filter((entry) => !isFolder(entry));
      return Promise.resolve({
        objects: objects.map((key) => ({ key, size: 1, lastModified: TIME, eTag: "t" })),
        prefixes: (areFoldersCounted ? listed : left).filter(isFolder),
        next: counted.length > limit ? listed.at(-1) : undefined,
      });
    },
  };
}

function pageOf(keys: readonly string[], query: ListQuery): Page {
  const entries = keys
    .map((path): [string, ListedObject] => [byteString(path), { path, size: 1, lastModified: TIME, eTag: "t" }])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return page((from) => entries.filter(([key]) => key >= from), query);
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
