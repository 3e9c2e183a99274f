import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl, fileUrl, unavailable } from "@mikcar/core";
import { type Answer, type Ask, ask, temporaryFolder } from "@mikcar/devkit";
import { open as openFile } from "../src/backends/file/index.ts";
import { open } from "../src/backends/memory.ts";
import { routes } from "../src/routes.ts";
import type { StorageBackend } from "../src/backend.ts";
import { asked, call, close, expectError, json, put, serve, url } from "./client.ts";
import { storageWire } from "./wire.ts";

storageWire("memory", { open: () => open(configUrl("memory:")) });

let backend: StorageBackend;
beforeEach(async () => {
  backend = await open(configUrl("memory:"));
  await serve(backend);
});
afterEach(close);

describe("PUT /object", () => {
  it("refuses metadata beyond 8 KiB", async () => {
    expectError(await put("x", "", { "x-meta-a": "a".repeat(4096), "x-meta-b": "b".repeat(4096) }), 400, "BAD_REQUEST");
    expect((await put("x", "", { "x-meta-a": "a".repeat(8191) })).status).toBe(201);
  });

  it("refuses a body beyond MAX_OBJECT_BYTES, whether declared or chunked", async () => {
    expectError(await put("x", "a".repeat(100_001)), 413, "PAYLOAD_TOO_LARGE");
    const chunks = Array.from({ length: 11 }, () => Buffer.alloc(10_000));
    expectError(await call("PUT", "/object/x", { body: chunks }), 413, "PAYLOAD_TOO_LARGE");
    expect((await call("GET", "/object/x")).status).toBe(404);
  });
});

describe("objects of many pieces", () => {
  const folder = temporaryFolder();
  afterAll(() => folder.remove());
  /** No two stretches alike, so that a piece in a wrong place shows. */
  const bytes = (seed: number): Buffer => {
    const words = new Uint32Array(500_000);
    words.forEach((_, index) => (words[index] = Math.imul(index + seed, 2_654_435_761)));
    return Buffer.from(words.buffer);
  };

  it("arrive whole at many slow readers, zipped or not, from buffers that are used again", async () => {
    await serve(await openFile(configUrl(fileUrl(folder.path))), undefined, 4_000_000);
    const bodies = Array.from({ length: 4 }, (_, seed) => bytes(seed));
    const headers = { "content-type": "text/plain" };
    await Promise.all(bodies.map((body, seed) => call("PUT", `/object/${seed}`, { headers, body })));

    const reads = Array.from({ length: 24 }, async (_, index) => {
      const isZipped = index % 3 === 0;
      const answer = await call("GET", `/object/${index % 4}`, {
        headers: isZipped ? { "accept-encoding": "gzip" } : {},
      });
      expect(answer.headers["content-encoding"]).toBe(isZipped ? "gzip" : undefined);
      const body = isZipped ? gunzipSync(answer.body) : answer.body;
      expect(body.equals(bodies[index % 4] as Buffer)).toBe(true);
    });

    await Promise.all(reads);
  });
});

describe("paths", () => {
  it.each([
    ["", "empty"],
    ["..%2f..%2fetc%2fpasswd", ".."],
    ["a/%2e%2e/b", ".."],
    ["a/./b", "."],
    ["a//b", "empty segment"],
    ["%2Fa", "empty segment"],
    ["a/", "empty segment"],
    ["a%5Cb", "backslash"],
    ["a%00b", "control character"],
    ["a%7fb", "control character"],
    ["a%C2%85b", "control character"],
    ["a".repeat(1025), "1024 bytes"],
    ["%ff", "UTF-8"],
  ])("of %s are refused by every route with a word on what is wrong", async (path, word) => {
    for (const [method, route] of [
      ["GET", "object"],
      ["PUT", "object"],
      ["DELETE", "object"],
      ["POST", "presign"],
    ] as const) {
      const answer = await call(method, `/${route}/${path}`);
      expectError(answer, 400, "BAD_REQUEST");
      expect(answer.json.error).toContain(word);
    }
    expect((await call("HEAD", `/object/${path}`)).status).toBe(400);
  });
});

describe("POST /delete/batch", () => {
  it("does not show what a backend said of its failure", async () => {
    const deleteMany: StorageBackend["deleteMany"] = async () => ({
      deleted: 0,
      errors: [
        { path: "a", error: unavailable("10.0.0.7 said no") },
        { path: "b", error: new Error("at /secret/place") },
      ],
    });
    await serve({ ...backend, deleteMany });

    const { json: answer, text } = await call("POST", "/delete/batch", json({ paths: ["a", "b"] }));

    expect(answer.errors.map(({ code }: { code: string }) => code)).toEqual(["UNAVAILABLE", "INTERNAL_ERROR"]);
    expect(text).not.toMatch(/10\.0\.0\.7|secret/);
  });

  it("takes at most a thousand paths", async () => {
    const paths = Array.from({ length: 1001 }, (_, index) => `p${index}`);

    expectError(await call("POST", "/delete/batch", json({ paths })), 422, "UNPROCESSABLE");
    expect((await call("POST", "/delete/batch", json({ paths: paths.slice(1) }))).json).toEqual({
      deleted: 0,
      errors: [],
    });
    expectError(await call("POST", "/delete/batch", json({ paths: "a" })), 422, "UNPROCESSABLE");
  });
});

describe("POST /presign", () => {
  const TOKEN = "secret";
  const signed = { authorization: `Bearer ${TOKEN}` };
  beforeEach(async () => {
    await serve(await open(configUrl("memory:")), TOKEN);
  });
  const follow = (url: string, options: Ask = {}): Promise<Answer> =>
    ask(url, url.slice(new URL(url).origin.length), options);

  it("makes a URL that writes, and one that reads, without a token", async () => {
    const headers = { ...signed, "content-type": "application/json" };
    const body = JSON.stringify({ method: "PUT", expires_in: 60 });
    const write = await call("POST", "/presign/a%20b/%C3%BC", { headers, body });
    expect(Date.parse(write.json.expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
    expect((await follow(write.json.url, { method: "PUT", body: "hello" })).status).toBe(201);
    expect((await follow(write.json.url)).status).toBe(403);

    const read = await call("POST", "/presign/a%20b/%C3%BC", { headers: signed });

    expect(Date.parse(read.json.expires_at) - Date.now()).toBeGreaterThan(890_000);
    expect((await follow(read.json.url)).text).toBe("hello");
    expect((await follow(read.json.url, { method: "HEAD" })).status).toBe(200);
    expect((await follow(read.json.url, { method: "PUT", body: "x" })).status).toBe(403);
    expect((await follow(read.json.url.replace("a%20b", "a%20c"))).status).toBe(403);
  });

  it.each([{ method: "DELETE" }, { expires_in: 0 }, { expires_in: 604_801 }, { expires_in: "1" }])(
    "refuses %j",
    async (body) => {
      const answer = await call("POST", "/presign/x", {
        headers: { ...signed, "content-type": "application/json" },
        body: JSON.stringify(body),
      });

      expectError(answer, 422, "UNPROCESSABLE");
      expect(answer.json.details[0].field).toBe(Object.keys(body)[0]);
    },
  );

  it("asks for a token and a content type", async () => {
    expectError(await call("POST", "/presign/x"), 401, "UNAUTHORIZED");
    expectError(await call("POST", "/presign/x", { headers: signed, body: "{}" }), 415, "UNSUPPORTED_MEDIA_TYPE");
  });
});

it("answers 405 with what is possible to another method", async () => {
  const answer = await ask(url(), "/storage/object/x", { method: "POST" });

  expectError(answer, 405, "METHOD_NOT_ALLOWED");
  expect(answer.headers["allow"]).toBe("GET, HEAD, PUT, DELETE");
});

it("answers 503 without a reason when the backend is down", async () => {
  await backend.close();

  for (const answer of [await call("GET", "/object/x"), await put("x", "x"), await call("GET", "/list")]) {
    expectError(answer, 503, "UNAVAILABLE");
    expect(answer.json.error).not.toContain("memory");
  }
});

describe("the route table", () => {
  afterAll(() => {
    const untested = routes.map(([method, path]) => `${method} ${path}`).filter((route) => !asked.has(route));
    if (untested.length > 0) throw new Error(`routes without a test: ${untested.join(", ")}`);
  });

  it("has a row for each route in the README", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

    for (const [method, path] of routes) {
      const shown = path.replace(/\*(\w+)/, "{$1...}");
      expect(readme).toContain(`\`${method} /storage${shown}\``);
    }
  });
});

describe("GET /list", () => {
  it.each(["limit=0", "limit=10001", "limit=x", "limit=1.5", "limit=", "delimiter=.", "delimiter="])(
    "refuses ?%s",
    async (query) => {
      const answer = await call("GET", `/list?${query}`);

      expectError(answer, 400, "BAD_REQUEST");
      expect(answer.json.details[0].field).toBe(query.split("=")[0]);
    },
  );
});

describe.each(["copy", "move"])("POST /%s", (route) => {
  it("refuses what is absent, malformed or not JSON", async () => {
    expectError(await call("POST", `/${route}`, json({ from: "absent", to: "x" })), 404, "NOT_FOUND");
    expectError(await call("POST", `/${route}`, json({ from: "../x", to: "x" })), 400, "BAD_REQUEST");
    expectError(await call("POST", `/${route}`, json({ from: "x", to: "\ud800" })), 400, "BAD_REQUEST");
    const wrong = await call("POST", `/${route}`, json({ from: 1 }));
    expectError(wrong, 422, "UNPROCESSABLE");
    expect(wrong.json.details.map(({ field }: { field: string }) => field)).toEqual(["from", "to"]);
    expectError(await call("POST", `/${route}`, { ...json({}), body: "{" }), 400, "BAD_REQUEST");
    expectError(await call("POST", `/${route}`, { body: "{}" }), 415, "UNSUPPORTED_MEDIA_TYPE");
  });
});
