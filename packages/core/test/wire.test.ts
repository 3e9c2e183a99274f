import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ask } from "@mikcar/devkit";
import { gunzipSync } from "node:zlib";
import { serveEcho } from "./echo.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
let server: Awaited<ReturnType<typeof serveEcho>>;

beforeAll(async () => {
  server = await serveEcho((builder) => builder.maxBodyBytes(1000).maxObjectBytes(100_000));
});
afterAll(() => server.close());

describe("an answer", () => {
  it("of /health is the same fixed JSON", async () => {
    const answer = await ask(server.url, "/health");

    expect([answer.status, answer.text]).toEqual([200, '{"status":"healthy"}']);
  });

  it("of /health is the same with a query, and with HEAD", async () => {
    const probe = await ask(server.url, "/health?from=probe");
    const head = await ask(server.url, "/health", { method: "HEAD" });

    expect([probe.status, head.status, head.text]).toEqual([200, 200, ""]);
  });

  it.each([
    ["/echo/param/a%2Fb%20c", "a/b c"],
    ["/echo/param/100%25", "100%"],
    ["/echo/param/%252F", "%2F"],
    ["/echo/param/%F0%9F%98%80", "😀"],
    ["/echo/rest/a/b%2Fc//d", "a/b/c//d"],
    ["/echo/rest/", ""],
  ])("%s has its parameter decoded once", async (path, expected) => {
    expect((await ask(server.url, path)).text).toBe(expected);
  });

  it.each(["/echo/param/%ff", "/echo/param/%", "/echo/param/%zz", "/echo/rest/a/%c3"])(
    "%s is 400 for its encoding",
    async (path) => {
      const answer = await ask(server.url, path);

      expect([answer.status, answer.json.code]).toEqual([400, "BAD_REQUEST"]);
    },
  );

  it("to an unknown route is 404 and JSON", async () => {
    const answer = await ask(server.url, "/nowhere?x=1");

    expect(answer.json).toEqual({
      error: expect.stringContaining("no route /nowhere;"),
      code: "NOT_FOUND",
      status: 404,
    });
  });

  it("to a wrong method is 405 and names those that are right", async () => {
    const data = await ask(server.url, "/echo/param/a", { method: "DELETE" });
    const own = await ask(server.url, "/docs", { method: "POST" });

    expect([data.status, data.headers.allow, data.json.code]).toEqual([405, "GET", "METHOD_NOT_ALLOWED"]);
    expect([own.status, own.headers.allow, own.json.code]).toEqual([405, "GET, HEAD", "METHOD_NOT_ALLOWED"]);
  });

  it("to a crash is 500 without the error's words, which the log has under the trace id", async () => {
    const answer = await ask(server.url, "/echo/crash", { headers: { "X-Trace-Id": "trace-crash" } });

    expect([answer.status, answer.json.code]).toEqual([500, "INTERNAL_ERROR"]);
    expect(answer.text).not.toContain("secret-of-the-backend");
    expect(server.logged.find((line) => line.includes("trace-crash"))).toContain("secret-of-the-backend");
  });

  it("to a backend that is away is 503 without the backend's words", async () => {
    const answer = await ask(server.url, "/echo/away");

    expect([answer.status, answer.json.code]).toEqual([503, "UNAVAILABLE"]);
    expect(answer.text).not.toContain("secret-of-the-backend");
  });

  it("that fails half way is a broken connection, never a whole answer", async () => {
    await expect(ask(server.url, "/echo/half")).rejects.toThrow();
  });

  it("carries the caller's trace id, that of its W3C trace, or a new one", async () => {
    const given = await ask(server.url, "/nowhere", { headers: { "X-Trace-Id": "abc 123" } });
    const parent = `00-${"a1".repeat(16)}-${"b2".repeat(8)}-01`;
    const continued = await ask(server.url, "/health", { headers: { traceparent: parent } });
    const made = await ask(server.url, "/docs", { headers: { "X-Trace-Id": "x".repeat(129) } });

    expect(given.headers["x-trace-id"]).toBe("abc 123");
    expect(continued.headers["x-trace-id"]).toBe("a1".repeat(16));
    expect(made.headers["x-trace-id"]).toMatch(/^[\da-f]{32}$/);
  });
});

describe("a JSON body", () => {
  const post = (body: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
    ask(server.url, "/echo/json", { method: "POST", headers, body });

  it("may hold exact integers and fields nobody knows", async () => {
    expect((await post('{"numbers":[1,2],"unknown":true}')).text).toBe("1,2");
  });

  it.each([
    ["no content type", "{}", {}, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["another content type", "{}", { "Content-Type": "text/plain" }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["broken JSON", '{"numbers"', JSON_TYPE, 400, "BAD_REQUEST"],
    ["no JSON at all", "", JSON_TYPE, 400, "BAD_REQUEST"],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), JSON_TYPE, 400, "BAD_REQUEST"],
    ["the wrong shape", "[]", JSON_TYPE, 422, "UNPROCESSABLE"],
  ])("with %s is refused", async (_what, body, headers, status, code) => {
    const answer = await post(body, headers);

    expect([answer.status, answer.json.code]).toEqual([status, code]);
  });

  it("of the wrong shape is answered with each field by name", async () => {
    const answer = await post('{"numbers":[1,"x"],"note":5}');

    expect(answer.json.details.map(({ field }: { field: string }) => field)).toEqual(["numbers.1", "note"]);
  });

  it("is taken with a charset and in any case of the type", async () => {
    expect((await post('{"numbers":[7]}', { "Content-Type": "Application/JSON; charset=utf-8" })).text).toBe("7");
  });
});

describe("a query", () => {
  it("of the wrong shape is 400 with the field's name", async () => {
    const answer = await ask(server.url, "/echo/query?n=x&other=1");

    expect([answer.status, answer.json.details[0].field]).toEqual([400, "n"]);
  });

  it("is decoded, and unknown parameters are ignored", async () => {
    expect((await ask(server.url, "/echo/query?n=%34&__proto__=1")).json).toEqual({ n: "4" });
  });
});

describe("a body over the limit", () => {
  it.each([
    ["declared", Buffer.alloc(1001)],
    ["chunked", [Buffer.alloc(500), Buffer.alloc(501)]],
  ])("is 413 when it is %s, and one of just the limit passes", async (_how, body) => {
    const over = await ask(server.url, "/echo/bytes", { method: "POST", body });
    const exact = await ask(server.url, "/echo/bytes", { method: "POST", body: Buffer.alloc(1000) });

    expect([over.status, over.json.code, over.json.details]).toEqual([413, "PAYLOAD_TOO_LARGE", { limit_bytes: 1000 }]);
    expect([exact.status, exact.body.length]).toEqual([200, 1000]);
  });

  it("that is streamed is held to its own limit", async () => {
    const over = await ask(server.url, "/echo/stream", {
      method: "PUT",
      body: [Buffer.alloc(60_000), Buffer.alloc(60_000)],
    });
    const exact = await ask(server.url, "/echo/stream", { method: "PUT", body: Buffer.alloc(100_000) });

    expect(over.status).toBe(413);
    expect(exact.json).toEqual({ size: 100_000 });
  });
});

describe("gzip", () => {
  const zipped = { "Accept-Encoding": "br, gzip;q=0.5" };

  it("comes above 1 KiB when the client takes it, and says so", async () => {
    const answer = await ask(server.url, "/echo/repeat/2000", { headers: zipped });

    expect(answer.headers).toMatchObject({ "content-encoding": "gzip", vary: "Accept-Encoding" });
    expect(gunzipSync(answer.body).toString()).toBe("x".repeat(2000));
  });

  it.each([
    ["at 1 KiB", "/echo/repeat/1024", zipped],
    ["when nobody asks", "/echo/repeat/2000", {}],
    ["when it is refused", "/echo/repeat/2000", { "Accept-Encoding": "gzip;q=0, deflate" }],
  ])("stays away %s", async (_when, path, headers) => {
    const answer = await ask(server.url, path, { headers });

    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(answer.text).toMatch(/^x+$/);
  });

  it("also comes for the document", async () => {
    const answer = await ask(server.url, "/openapi.json", { headers: zipped });

    expect(JSON.parse(gunzipSync(answer.body).toString())).toMatchObject({ openapi: "3.1.1" });
  });

  it("also wraps streams, whose length is then not told", async () => {
    const answer = await ask(server.url, "/echo/many/3", { headers: zipped });

    expect(answer.headers["content-length"]).toBeUndefined();
    expect(gunzipSync(answer.body).length).toBe(3 * 65_536);
  });
});
