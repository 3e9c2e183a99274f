import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl, createLog, fileUrl, type Server, SidecarBuilder, unavailable } from "@mikcar/core";
import { type Answer, type Ask, ask, temporaryFolder, until } from "@mikcar/devkit";
import { open as openFile } from "../src/backends/file/index.ts";
import { open } from "../src/backends/memory.ts";
import { routes } from "../src/routes.ts";
import { StorageService } from "../src/service.ts";
import type { StorageBackend } from "../src/backend.ts";

let server: Server;
let backend: StorageBackend;
const asked = new Set<string>();

async function serve(storage: StorageBackend, token?: string, maxObjectBytes = 100_000): Promise<Server> {
  const builder = new SidecarBuilder()
    .port(0)
    .authToken(token)
    .maxObjectBytes(maxObjectBytes)
    .log(await createLog("silent"));
  return builder.add(StorageService.fromBackend(storage)).serve();
}

beforeEach(async () => {
  backend = await open(configUrl("memory:"));
  server = await serve(backend);
});
afterEach(() => server.close());

function call(method: string, path: string, options: Ask = {}): Promise<Answer> {
  const route = routes.find(([other, pattern]) => other === method && matches(pattern, path));
  if (route !== undefined) asked.add(`${method} ${route[1]}`);
  return ask(server.url ?? "", `/storage${path}`, { ...options, method });
}

function matches(pattern: string, path: string): boolean {
  return new RegExp(`^${pattern.replace(/\*\w+$/, ".*")}(?:\\?.*)?$`).test(path);
}

function json(body: unknown): Ask {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

function put(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return call("PUT", `/object/${path}`, { headers, body });
}

function expectError(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.json.code, answer.json.status]).toEqual([status, code, status]);
  expect(typeof answer.json.error).toBe("string");
}

describe("PUT /object", () => {
  it("stores the body and answers 201 with size and entity tag", async () => {
    const { status, headers, json } = await put("a/b.txt", "hello");

    expect(status).toBe(201);
    expect(json).toEqual({ status: "created", path: "a/b.txt", size: 5, e_tag: headers["etag"] });
    expect(json.e_tag).toMatch(/^"[^"]+"$/);
    expect((await call("GET", "/object/a/b.txt")).text).toBe("hello");
  });

  it("takes a chunked body", async () => {
    const { json } = await call("PUT", "/object/x", { body: [Buffer.from("ab"), Buffer.from("cd")] });

    expect(json.size).toBe(4);
  });

  it("keeps content type, cache control and metadata", async () => {
    const kept = {
      "content-type": "text/html",
      "cache-control": "max-age=9",
      "x-meta-author": "Ada",
      "x-meta-__proto__": "p",
    };
    await put("x", "<p>", kept);

    expect((await call("GET", "/object/x")).headers).toMatchObject(kept);
    expect((await call("HEAD", "/object/x")).headers).toMatchObject(kept);
    await put("x", "plain");
    const { headers } = await call("GET", "/object/x");
    expect(headers["content-type"]).toBe("application/octet-stream");
    expect(headers).not.toHaveProperty("x-meta-author");
  });

  it("creates only once with If-None-Match: *, and replaces only the version of If-Match", async () => {
    const first = await put("x", "1", { "if-none-match": "*" });
    expect(first.status).toBe(201);
    expectError(await put("x", "2", { "if-none-match": "*" }), 412, "PRECONDITION_FAILED");
    expectError(await put("x", "2", { "if-match": '"other"' }), 412, "PRECONDITION_FAILED");
    expectError(await put("absent", "2", { "if-match": "*" }), 412, "PRECONDITION_FAILED");
    expect((await put("x", "2", { "if-match": first.json.e_tag })).status).toBe(201);
    expectError(await put("x", "2", { "if-match": "no tag" }), 400, "BAD_REQUEST");
  });

  it.each([
    ["Content-MD5", (body: string) => createHash("md5").update(body).digest("base64")],
    ["X-Checksum-Sha256", (body: string) => createHash("sha256").update(body).digest("hex")],
    ["X-Checksum-Sha256", (body: string) => createHash("sha256").update(body).digest("base64")],
  ])("verifies %s", async (header, digest) => {
    expect((await put("x", "right", { [header]: digest("right") })).status).toBe(201);
    expect((await put("empty", "", { [header]: digest("") })).status).toBe(201);
    expectError(await put("x", "wrong", { [header]: digest("right") }), 422, "UNPROCESSABLE");
    expectError(await put("x", "right", { [header]: "nonsense" }), 400, "BAD_REQUEST");
    expect((await call("GET", "/object/x")).text).toBe("right");
  });

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

  it("stores nothing of a body that breaks off", async () => {
    let isOver = false;
    await server.close();
    const memory = await open(configUrl("memory:"));
    const watched: StorageBackend["put"] = (...args) =>
      memory.put(...args).finally(() => {
        isOver = true;
      });
    server = await serve({ ...memory, put: watched });
    const { port } = new URL(server.url ?? "");
    const socket = connect(Number(port), "127.0.0.1");
    await once(socket, "connect");

    socket.write("PUT /storage/object/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf", () =>
      socket.destroy(),
    );
    await until("the upload is given up", () => isOver);

    expect((await call("GET", "/object/x")).status).toBe(404);
    expect((await call("GET", "/list")).json.objects).toEqual([]);
  });
});

describe("GET and HEAD /object", () => {
  it("tell length, time, entity tag and that ranges are possible, and keep browsers from guessing", async () => {
    const { json } = await put("x", "0123456789");

    const get = await call("GET", "/object/x");
    const head = await call("HEAD", "/object/x");

    for (const { headers } of [get, head]) {
      expect(headers).toMatchObject({
        etag: json.e_tag,
        "content-length": "10",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
      });
      expect(new Date(headers["last-modified"] ?? "").toUTCString()).toBe(headers["last-modified"]);
    }
    expect([head.status, head.text]).toEqual([200, ""]);
    expect(head.headers["x-object-size"]).toBe("10");
    expect(head.headers["x-last-modified"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("answer 404 for what is absent", async () => {
    expectError(await call("GET", "/object/absent"), 404, "NOT_FOUND");
    expect((await call("HEAD", "/object/absent")).status).toBe(404);
  });

  it.each([
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-2", "89", "bytes 8-9/10"],
    ["bytes=8-99", "89", "bytes 8-9/10"],
    ["bytes=-99", "0123456789", "bytes 0-9/10"],
  ])("answer %s with 206", async (range, bytes, contentRange) => {
    await put("x", "0123456789");

    const { status, headers, text } = await call("GET", "/object/x", { headers: { range } });

    expect([status, text, headers["content-range"]]).toEqual([206, bytes, contentRange]);
    expect(headers["content-length"]).toBe(String(bytes.length));
  });

  it.each(["bytes=9-", "bytes=5-6", "bytes=-0"])("answer %s of five bytes with 416", async (range) => {
    await put("x", "01234");

    const answer = await call("GET", "/object/x", { headers: { range } });

    expectError(answer, 416, "RANGE_NOT_SATISFIABLE");
    expect(answer.headers["content-range"]).toBe("bytes */5");
  });

  it.each(["bytes=0-1,3-4", "bytes=4-1", "bytes=a-b", "items=0-1"])("answer all of it to %s", async (range) => {
    await put("x", "01234");

    const { status, text } = await call("GET", "/object/x", { headers: { range } });

    expect([status, text]).toEqual([200, "01234"]);
  });

  it("answer a range only of the version that If-Range names", async () => {
    const { json } = await put("x", "01234");
    const modified = (await call("HEAD", "/object/x")).headers["last-modified"] ?? "";
    const ranged = (ifRange: string): Promise<Answer> =>
      call("GET", "/object/x", { headers: { range: "bytes=0-0", "if-range": ifRange } });

    expect((await ranged(json.e_tag)).status).toBe(206);
    expect((await ranged(modified)).status).toBe(206);
    expect((await ranged('"other"')).status).toBe(200);
    expect((await ranged(`W/${json.e_tag}`)).status).toBe(200);
    expect((await ranged("Thu, 01 Jan 1970 00:00:00 GMT")).status).toBe(200);
  });

  it("answer conditions in the order of RFC 9110", async () => {
    const { json } = await put("x", "01234");
    const modified = (await call("HEAD", "/object/x")).headers["last-modified"] ?? "";
    const past = "Thu, 01 Jan 1970 00:00:00 GMT";
    const cases: [Record<string, string>, number][] = [
      [{ "if-none-match": json.e_tag }, 304],
      [{ "if-none-match": `W/${json.e_tag}` }, 304],
      [{ "if-none-match": "*" }, 304],
      [{ "if-none-match": '"other"' }, 200],
      [{ "if-modified-since": modified }, 304],
      [{ "if-modified-since": past }, 200],
      [{ "if-modified-since": "nonsense" }, 200],
      [{ "if-none-match": '"other"', "if-modified-since": modified }, 200],
      [{ "if-match": json.e_tag }, 200],
      [{ "if-match": '"other"' }, 412],
      [{ "if-unmodified-since": past }, 412],
      [{ "if-unmodified-since": modified }, 200],
      [{ "if-match": "*", "if-unmodified-since": past }, 200],
      [{ "if-match": '"other"', "if-none-match": json.e_tag }, 412],
      [{ "if-none-match": json.e_tag, range: "bytes=99-" }, 304],
    ];

    for (const method of ["GET", "HEAD"]) {
      for (const [headers, status] of cases) {
        const answer = await call(method, "/object/x", { headers });
        expect([method, headers, answer.status]).toEqual([method, headers, status]);
        if (status === 304) expect([answer.text, answer.headers["etag"]]).toEqual(["", json.e_tag]);
        if (status === 412 && method === "GET") expectError(answer, 412, "PRECONDITION_FAILED");
      }
    }
  });

  it("sends a large text zipped when asked to, and never a range of it", async () => {
    await put("x", "a".repeat(5000), { "content-type": "text/plain" });

    const whole = await call("GET", "/object/x", { headers: { "accept-encoding": "gzip" } });
    const part = await call("GET", "/object/x", { headers: { "accept-encoding": "gzip", range: "bytes=0-1999" } });

    expect(whole.headers["content-encoding"]).toBe("gzip");
    expect(part.headers["content-encoding"]).toBeUndefined();
    expect(part.body.length).toBe(2000);
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
    await server.close();
    server = await serve(await openFile(configUrl(fileUrl(folder.path))), undefined, 4_000_000);
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

describe("DELETE /object", () => {
  it("deletes once, and is 404 after that", async () => {
    await put("a/b", "x");

    const { status, json } = await call("DELETE", "/object/a/b");

    expect([status, json]).toEqual([200, { status: "deleted", path: "a/b" }]);
    expectError(await call("DELETE", "/object/a/b"), 404, "NOT_FOUND");
  });

  it("honours If-Match", async () => {
    const { json } = await put("x", "x");

    expectError(await call("DELETE", "/object/x", { headers: { "if-match": '"other"' } }), 412, "PRECONDITION_FAILED");
    expect((await call("DELETE", "/object/x", { headers: { "if-match": json.e_tag } })).status).toBe(200);
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

  it("may hold encoded slashes, spaces, percent signs and emoji, and come back raw", async () => {
    for (const encoded of ["a%2Fb", "50%25%20off", "%F0%9F%98%80/x", "%252e%252e/y"]) {
      const path = decodeURIComponent(encoded);
      expect((await put(encoded, "x")).json.path).toBe(path);
      expect((await call("GET", `/list?offset=${encodeURIComponent(path)}`)).status).toBe(200);
      const { objects } = (await call("GET", "/list")).json;
      expect(objects.map(({ location }: { location: string }) => location)).toContain(path);
    }
  });
});

describe("GET /list", () => {
  beforeEach(async () => {
    for (const path of ["a", "a/x", "a/y/z", "ab", "b/c"]) await put(path, path);
  });
  const locations = ({ json }: Answer): string[] => json.objects.map(({ location }: { location: string }) => location);

  it("lists everything in byte order, with size, time and entity tag", async () => {
    const answer = await call("GET", "/list");

    expect(locations(answer)).toEqual(["a", "a/x", "a/y/z", "ab", "b/c"]);
    const head = await call("HEAD", "/object/a/x");
    const expected = {
      location: "a/x",
      size: 3,
      last_modified: head.headers["x-last-modified"],
      e_tag: head.headers["etag"],
    };
    expect(answer.json.objects[1]).toEqual(expected);
    expect(answer.json.next_offset).toBeNull();
    expect(answer.json).not.toHaveProperty("prefixes");
  });

  it("takes a prefix of whole segments, with or without a slash behind it", async () => {
    for (const prefix of ["a", "a/", "a%2F"])
      expect(locations(await call("GET", `/list/${prefix}`))).toEqual(["a/x", "a/y/z"]);
    expect(locations(await call("GET", "/list/"))).toHaveLength(5);
    expect(locations(await call("GET", "/list/nothing"))).toEqual([]);
    expectError(await call("GET", "/list/a//b"), 400, "BAD_REQUEST");
    expectError(await call("GET", "/list/a/.."), 400, "BAD_REQUEST");
  });

  it("pages with limit and next_offset", async () => {
    const first = await call("GET", "/list?limit=2");
    const second = await call("GET", `/list?limit=2&offset=${encodeURIComponent(first.json.next_offset)}`);
    const third = await call("GET", `/list?limit=2&offset=${encodeURIComponent(second.json.next_offset)}`);

    expect([first, second, third].map(locations)).toEqual([["a", "a/x"], ["a/y/z", "ab"], ["b/c"]]);
    expect(third.json.next_offset).toBeNull();
    expect(locations(await call("GET", "/list/a?offset=a/x"))).toEqual(["a/y/z"]);
  });

  it("folds at a delimiter", async () => {
    const top = await call("GET", "/list?delimiter=/");
    const below = await call("GET", "/list/a?delimiter=%2F");

    expect([locations(top), top.json.prefixes]).toEqual([
      ["a", "ab"],
      ["a/", "b/"],
    ]);
    expect([locations(below), below.json.prefixes]).toEqual([["a/x"], ["a/y/"]]);
  });

  it.each(["limit=0", "limit=10001", "limit=x", "limit=1.5", "limit=", "delimiter=.", "delimiter="])(
    "refuses ?%s",
    async (query) => {
      const answer = await call("GET", `/list?${query}`);

      expectError(answer, 400, "BAD_REQUEST");
      expect(answer.json.details[0].field).toBe(query.split("=")[0]);
    },
  );
});

describe.each([
  ["copy", "copied"],
  ["move", "moved"],
])("POST /%s", (route, status) => {
  it("answers with both paths, size and the new entity tag", async () => {
    await put("from", "bytes", { "content-type": "x/y", "x-meta-k": "v" });

    const answer = await call("POST", `/${route}`, json({ from: "from", to: "deep/to" }));

    const { headers, text } = await call("GET", "/object/deep/to");
    expect(answer.json).toEqual({ status, from: "from", to: "deep/to", size: 5, e_tag: headers["etag"] });
    expect([text, headers["content-type"], headers["x-meta-k"]]).toEqual(["bytes", "x/y", "v"]);
    expect((await call("GET", "/object/from")).status).toBe(route === "copy" ? 200 : 404);
  });

  it("onto itself changes nothing", async () => {
    const created = await put("x", "bytes");

    const { json: answer } = await call("POST", `/${route}`, json({ from: "x", to: "x" }));

    expect(answer).toMatchObject({ status, e_tag: created.json.e_tag });
  });

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

describe("POST /delete/batch", () => {
  it("counts what was there, ignores what was not, and names what cannot be", async () => {
    for (const path of ["a", "b", "kept"]) await put(path, "x");

    const { status, json: answer } = await call(
      "POST",
      "/delete/batch",
      json({ paths: ["a", "b", "a", "absent", "../x"] }),
    );

    expect(status).toBe(200);
    expect(answer).toEqual({
      deleted: 2,
      errors: [{ path: "../x", error: 'the path has a ".." segment', code: "BAD_REQUEST" }],
    });
    expect((await call("GET", "/list")).json.objects).toHaveLength(1);
  });

  it("does not show what a backend said of its failure", async () => {
    await server.close();
    const deleteMany: StorageBackend["deleteMany"] = async () => ({
      deleted: 0,
      errors: [
        { path: "a", error: unavailable("10.0.0.7 said no") },
        { path: "b", error: new Error("at /secret/place") },
      ],
    });
    server = await serve({ ...backend, deleteMany });

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
    await server.close();
    server = await serve(await open(configUrl("memory:")), TOKEN);
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
  const answer = await ask(server.url ?? "", "/storage/object/x", { method: "POST" });

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
