/** What every route refuses, and keys at the edge of what is one. */

import { describe, expect, it } from "@jest/globals";
import { type Client, failure } from "./client.ts";

const WITH_KEY: readonly [method: string, path: string][] = [
  ["GET", "/get/"],
  ["POST", "/set/"],
  ["DELETE", "/del/"],
  ["POST", "/increment/"],
  ["GET", "/exists/"],
  ["GET", "/ttl/"],
  ["POST", "/expire/"],
];
const WITH_JSON = ["/get/batch", "/set/batch", "/del/batch", "/expire/a", "/tx"];
const LIMIT_BYTES = 10 * 1024 * 1024;

export function refusals(kv: Client): void {
  describe.each(WITH_KEY)("%s %s", (method, path) => {
    const send = (key: string): ReturnType<Client["send"]> =>
      kv.send(method, path + key, {
        headers: { "Content-Type": "application/json" },
        ...(method === "POST" ? { body: '{"seconds":5}' } : {}),
      });
    const details = [{ field: "key", message: expect.any(String) }];

    it.each([
      ["k".repeat(1025), "of 1025 bytes"],
      ["%C3%A9".repeat(513), "of 1026 bytes in 513 characters"],
      ["", "of no byte"],
    ])("answers 400 to a key %#", async (key) => {
      const answer = await send(key);

      expect([answer.status, answer.json]).toEqual([400, failure(400, "BAD_REQUEST", details)]);
    });

    it.each(["%ff", "%", "%2", "%zz", "a%c3", "%ed%a0%80"])("answers 400 to the undecodable key %s", async (key) => {
      const answer = await send(key);

      expect([answer.status, answer.json]).toEqual([400, failure(400, "BAD_REQUEST")]);
    });

    it("takes %2F for a slash in the key, and answers 404 to a raw one", async () => {
      expect((await send("a%2Fb")).text).not.toContain("no route");
      const raw = await send("a/b");

      expect([raw.status, raw.json]).toEqual([404, failure(404, "NOT_FOUND")]);
      expect(raw.json.error).toContain("no route");
    });
  });

  it.each([
    "a%2Fb",
    "%2f",
    "..",
    "%2e%2e%2fetc",
    "100%25",
    "%252F",
    "a%20b",
    "a+b",
    "%00",
    "%F0%9F%98%80",
    "k".repeat(1024),
  ])("stores and finds the key written %s", async (key) => {
    const name = decodeURIComponent(key);
    const stored = await kv.post(`/set/${key}`, "value");

    expect(stored.json).toEqual({ status: "ok", key: name });
    expect((await kv.get(`/get/${key}`)).text).toBe("value");
    expect((await kv.json("/get/batch", { keys: [name] })).json).toEqual({ [name]: "value" });
    expect((await kv.send("DELETE", `/del/${key}`)).json.deleted).toBe(1);
  });

  describe.each(WITH_JSON)("POST %s", (path) => {
    it.each(["", "{", "{'a':1}", '{"a":1}x', "\ufeff{}"])("answers 400 to the broken JSON %j", async (body) => {
      const answer = await kv.json(path, body);

      expect([answer.status, answer.json]).toEqual([400, failure(400, "BAD_REQUEST")]);
    });

    it("answers 400 to JSON that is not UTF-8", async () => {
      const headers = { "Content-Type": "application/json" };

      const answer = await kv.post(path, Buffer.from('{"a":"\xff"}', "latin1"), headers);

      expect(answer.json).toEqual(failure(400, "BAD_REQUEST"));
    });

    it.each([undefined, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])(
      "answers 415 to the content type %s",
      async (type) => {
        const answer = await kv.post(path, "{}", type === undefined ? {} : { "Content-Type": type });

        expect([answer.status, answer.json]).toEqual([415, failure(415, "UNSUPPORTED_MEDIA_TYPE")]);
      },
    );

    it("takes a content type with a charset, in any case", async () => {
      const answer = await kv.json(path, '{"keys":5}', { "Content-Type": "Application/JSON; charset=utf-8" });

      expect(answer.status).toBe(422);
    });
  });

  describe.each(["/get/batch", "/del/batch"])("POST %s", (path) => {
    it.each([
      ["{}", "keys"],
      ['{"keys":"a"}', "keys"],
      ['{"keys":[1]}', "keys.0"],
      ['{"keys":["a",""]}', "keys.1"],
      [String.raw`{"keys":["\ud800"]}`, "keys.0"],
      [JSON.stringify({ keys: ["k".repeat(1025)] }), "keys.0"],
      [JSON.stringify({ keys: Array(1001).fill("k") }), "keys"],
      ["[]", "body"],
    ])("answers 422 and names the field (%#)", async (body, field) => {
      const answer = await kv.json(path, body);

      expect(answer.json).toEqual(failure(422, "UNPROCESSABLE", [{ field, message: expect.any(String) }]));
    });
  });

  describe("a body", () => {
    it("of 10 MiB exactly is stored", async () => {
      const bytes = Buffer.alloc(LIMIT_BYTES, "x");

      expect((await kv.post("/set/a", bytes)).status).toBe(200);
      expect((await kv.get("/get/a")).body.equals(bytes)).toBe(true);
    });

    it("of one byte more is 413, declared as that or sent in pieces, and nothing is stored", async () => {
      const bytes = Buffer.alloc(LIMIT_BYTES + 1, "x");
      const pieces = [bytes.subarray(0, LIMIT_BYTES), bytes.subarray(LIMIT_BYTES)];
      const tooLarge = failure(413, "PAYLOAD_TOO_LARGE", { limit_bytes: LIMIT_BYTES });

      expect((await kv.post("/set/a", bytes)).json).toEqual(tooLarge);
      expect((await kv.send("POST", "/set/a", { body: pieces })).json).toEqual(tooLarge);
      expect((await kv.json("/set/batch", `{"a":"${"x".repeat(LIMIT_BYTES)}"}`)).json).toEqual(tooLarge);

      expect((await kv.get("/get/a")).status).toBe(404);
    });
  });

  it.each([
    ["PUT", "/get/a", "GET"],
    ["POST", "/get/a", "GET"],
    ["GET", "/set/a", "POST"],
    ["PUT", "/set/batch", "POST"],
    ["GET", "/tx", "POST"],
    ["DELETE", "/keys/a", "GET"],
    ["PUT", "/del/batch", "POST, DELETE"],
    ["PATCH", "/increment/a", "POST"],
  ])("answers 405 to %s %s, with what is allowed", async (method, path, allow) => {
    const answer = await kv.send(method, path);

    expect([answer.status, answer.headers.allow, answer.json]).toEqual([
      405,
      allow,
      failure(405, "METHOD_NOT_ALLOWED"),
    ]);
  });

  it.each(["/", "", "/nothing", "/get", "/watch"])("answers 404 to the path %j", async (path) => {
    expect((await kv.get(path)).json).toEqual(failure(404, "NOT_FOUND"));
  });
}
