/** The routes that change nothing. */

import { expect, it } from "@jest/globals";
import { failure, type RouteTests } from "./client.ts";

const BASE64 = { base64: "/wA=" };
const TAG_OF_HELLO = '"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"';

export const reading: RouteTests = {
  "GET /get/:key": (kv) => {
    it("sends text as text, with its tag and length", async () => {
      await kv.post("/set/a", "hello");

      const { status, headers, text } = await kv.get("/get/a");

      expect([status, text]).toEqual([200, "hello"]);
      expect(headers).toMatchObject({
        "content-type": "text/plain; charset=utf-8",
        "content-length": "5",
        etag: TAG_OF_HELLO,
      });
    });

    it("sends other bytes as octets, as they came", async () => {
      const bytes = Buffer.from([0xff, 0, 0xfe]);
      await kv.post("/set/a", bytes);

      const { headers, body } = await kv.get("/get/a");

      expect(headers["content-type"]).toBe("application/octet-stream");
      expect(body.equals(bytes)).toBe(true);
    });

    it("sends an empty value as 200 with nothing in it", async () => {
      await kv.post("/set/a");

      expect(await kv.get("/get/a")).toMatchObject({ status: 200, text: "", headers: { "content-length": "0" } });
    });

    it("answers 404 for an absent key", async () => {
      const answer = await kv.get("/get/a");

      expect([answer.status, answer.json]).toEqual([404, failure(404, "NOT_FOUND")]);
    });

    it.each([TAG_OF_HELLO, `W/${TAG_OF_HELLO}`, `"x", ${TAG_OF_HELLO}`, "*"])(
      "answers 304 to If-None-Match: %s",
      async (tag) => {
        await kv.post("/set/a", "hello");

        const { status, headers, body } = await kv.get("/get/a", { "If-None-Match": tag });

        expect([status, body.length, headers.etag]).toEqual([304, 0, TAG_OF_HELLO]);
      },
    );

    it("sends the value when If-None-Match has another tag, and 404 when there is none", async () => {
      await kv.post("/set/a", "hello");

      expect(await kv.get("/get/a", { "If-None-Match": '"x"' })).toMatchObject({ status: 200, text: "hello" });
      expect((await kv.get("/get/b", { "If-None-Match": "*" })).status).toBe(404);
    });

    it("weighs If-Match before If-None-Match", async () => {
      await kv.post("/set/a", "hello");
      const headers = { "If-Match": '"wrong"', "If-None-Match": TAG_OF_HELLO };

      expect((await kv.get("/get/a", headers)).status).toBe(412);
      expect((await kv.get("/get/a", { "If-Match": '"wrong"', "If-None-Match": '"other"' })).status).toBe(412);
    });

    it("answers 412 when If-Match does not hold, and 400 when it is no tag", async () => {
      await kv.post("/set/a", "hello");

      const failed = await kv.get("/get/a", { "If-Match": '"x"' });

      expect([failed.status, failed.json]).toEqual([412, failure(412, "PRECONDITION_FAILED")]);
      expect((await kv.get("/get/a", { "If-Match": TAG_OF_HELLO })).status).toBe(200);
      expect((await kv.get("/get/a", { "If-Match": "unquoted" })).json).toEqual(failure(400, "BAD_REQUEST"));
    });

    it("gives the same value the same tag, and another value another", async () => {
      await kv.post("/set/a", "hello");
      await kv.post("/set/b", "hello");
      await kv.post("/set/c", "hello!");

      const tags = await Promise.all(["a", "b", "c"].map(async (key) => (await kv.get(`/get/${key}`)).headers.etag));

      expect(tags[0]).toBe(tags[1]);
      expect(tags[2]).not.toBe(tags[0]);
    });
  },

  "POST /get/batch": (kv) => {
    it("sends text as strings, other bytes as base64, and absent keys as null", async () => {
      await kv.post("/set/text", 'naïve "😀"');
      await kv.post("/set/bytes", Buffer.from([0xff, 0]));
      await kv.post("/set/empty", "");
      await kv.post("/set/__proto__", "own");

      const answer = await kv.json("/get/batch", { keys: ["text", "bytes", "empty", "absent", "__proto__"] });

      expect(answer.headers["content-type"]).toBe("application/json");
      expect(Object.entries(answer.json)).toEqual([
        ["text", 'naïve "😀"'],
        ["bytes", BASE64],
        ["empty", ""],
        ["absent", null],
        ["__proto__", "own"],
      ]);
    });

    it("answers no keys with an empty object, and a repeated one once", async () => {
      expect((await kv.json("/get/batch", { keys: [] })).text).toBe("{}");
      expect((await kv.json("/get/batch", { keys: ["a", "a"] })).text).toBe('{"a":null}');
    });

    it("takes a thousand keys and ignores unknown fields", async () => {
      const keys = Array.from({ length: 1000 }, (_, index) => `k${index}`);

      const answer = await kv.json("/get/batch", { keys, unknown: true });

      expect(answer.status).toBe(200);
      expect(Object.keys(answer.json)).toHaveLength(1000);
    });
  },

  "GET /exists/:key": (kv) => {
    it("tells whether a key is there", async () => {
      await kv.post("/set/a", "");

      expect((await kv.get("/exists/a")).text).toBe('{"exists":true}');
      expect((await kv.get("/exists/b")).text).toBe('{"exists":false}');
    });
  },

  "GET /watch/:pattern": (kv) => {
    it("streams what happens to matching keys from the moment it answers", async () => {
      const answer = await fetch(`${kv.base()}/watch/%C3%BC*`, { signal: AbortSignal.timeout(10_000) });
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader(); // a 200 has one
      await reader.read();

      await kv.post("/set/%C3%BC%0A%221", "x");

      const { value } = await reader.read();
      expect(answer.headers.get("content-type")).toBe("text/event-stream");
      expect(Buffer.from(value ?? []).toString()).toBe('event: set\ndata: {"key":"ü\\n\\"1"}\n\n');
      await reader.cancel();
    });

    it("answers 400 to a pattern that is none", async () => {
      expect((await kv.get("/watch/%5Ba")).status).toBe(400);
    });
  },

  "GET /ttl/:key": (kv) => {
    it("tells -1 without an expiry and -2 for an absent key", async () => {
      await kv.post("/set/a", "1");

      expect((await kv.get("/ttl/a")).text).toBe('{"ttl":-1}');
      expect((await kv.get("/ttl/b")).text).toBe('{"ttl":-2}');
    });

    it("rounds the seconds up", async () => {
      await kv.post("/set/a?ttl=100", "1");

      expect([99, 100]).toContain((await kv.get("/ttl/a")).json.ttl);
    });
  },

  "GET /keys/:pattern": (kv) => {
    it.each([0, 1, 2500])("streams %d keys as one JSON document when there is no limit", async (count) => {
      const keys = Array.from({ length: count }, (_, index) => `k"${String(index).padStart(4, "0")}`);
      for (let at = 0; at < count; at += 1000) {
        const entries = keys.slice(at, at + 1000).map((key) => [key, ""]);
        await kv.json("/set/batch", Object.fromEntries(entries));
      }

      const answer = await kv.get("/keys/k*");

      expect(answer.headers["content-type"]).toBe("application/json");
      expect(answer.json).toEqual({ keys });
      expect((await kv.get("/keys/nothing*")).text).toBe('{"keys":[]}');
    });

    it("pages with limit and cursor until the cursor is null", async () => {
      for (const key of ["b", "a", "c"]) await kv.post(`/set/${key}`, "");

      const first = (await kv.get("/keys/*?limit=2")).json;
      const second = await kv.get(`/keys/*?limit=2&cursor=${first.cursor}`);

      expect(first).toEqual({ keys: ["a", "b"], cursor: expect.any(String) });
      expect(second.text).toBe('{"keys":["c"],"cursor":null}');
      expect((await kv.get(`/keys/*?cursor=${first.cursor}`)).json).toEqual({ keys: ["c"], cursor: null });
    });

    it("decodes the pattern once", async () => {
      for (const key of ["a%2Fb", "%252F", "x"]) await kv.post(`/set/${key}`, "");

      expect((await kv.get("/keys/a%2F*")).json).toEqual({ keys: ["a/b"] });
      expect((await kv.get("/keys/%252F")).json).toEqual({ keys: ["%2F"] });
      expect((await kv.get("/keys/%3F")).json).toEqual({ keys: ["x"] });
      expect((await kv.get("/keys/%5Bx%5D")).json).toEqual({ keys: ["x"] });
    });

    it.each(["[", "a%5B", "%5C"])("answers 400 to the pattern %s", async (pattern) => {
      expect((await kv.get(`/keys/${pattern}`)).json).toEqual(failure(400, "BAD_REQUEST"));
    });

    it.each(["limit=0", "limit=10001", "limit=-1", "limit=x", "limit=", "limit=1.5"])(
      "answers 400 to ?%s, naming it",
      async (query) => {
        const details = [{ field: "limit", message: expect.any(String) }];

        expect((await kv.get(`/keys/*?${query}`)).json).toEqual(failure(400, "BAD_REQUEST", details));
      },
    );

    it("answers 400 to a cursor that it has not given", async () => {
      expect((await kv.get("/keys/*?limit=1&cursor=%25%25")).json).toEqual(failure(400, "BAD_REQUEST"));
      expect((await kv.get("/keys/*?limit=10000")).status).toBe(200);
    });
  },
};
