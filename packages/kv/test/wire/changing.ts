/** The routes that count, expire and do several things at once. */

import { expect, it } from "@jest/globals";
import { failure, type RouteTests } from "./client.ts";

export const changing: RouteTests = {
  "POST /increment/:key": (kv) => {
    it("adds one, or by", async () => {
      expect((await kv.post("/increment/n")).text).toBe('{"value":1}');
      expect((await kv.post("/increment/n?by=41")).text).toBe('{"value":42}');
      expect((await kv.post("/increment/n?by=-50")).text).toBe('{"value":-8}');
      expect((await kv.get("/get/n")).text).toBe("-8");
    });

    it("keeps every digit beyond 2^53", async () => {
      expect((await kv.post("/increment/n?by=9007199254740993")).text).toBe('{"value":9007199254740993}');
      expect((await kv.post("/increment/n?by=9214364837600034814")).text).toBe('{"value":9223372036854775807}');
      expect((await kv.post("/increment/m?by=-9223372036854775808")).text).toBe('{"value":-9223372036854775808}');
    });

    it("answers 409 when the sum leaves the range, and leaves the value", async () => {
      await kv.post("/set/n", "9223372036854775807");

      const answer = await kv.post("/increment/n");

      expect([answer.status, answer.json]).toEqual([409, failure(409, "CONFLICT")]);
      expect((await kv.get("/get/n")).text).toBe("9223372036854775807");
    });

    it("answers 409 when the value is no number, and leaves it", async () => {
      await kv.post("/set/n", "abc");

      expect((await kv.post("/increment/n")).json).toEqual(failure(409, "CONFLICT"));
      expect((await kv.get("/get/n")).text).toBe("abc");
    });

    it.each(["by=9223372036854775808", "by=1.5", "by=abc", "by=", "by=0x1", `by=${"9".repeat(100)}`, "ttl=-1"])(
      "answers 400 to ?%s, naming it",
      async (query) => {
        const details = [{ field: query.split("=")[0], message: expect.any(String) }];

        expect((await kv.post(`/increment/n?${query}`)).json).toEqual(failure(400, "BAD_REQUEST", details));
      },
    );

    it("uses ttl only for a new key", async () => {
      await kv.post("/increment/n?ttl=100");
      await kv.post("/increment/n?ttl=5000");
      await kv.post("/set/m", "1");
      await kv.post("/increment/m?ttl=100");

      expect((await kv.get("/ttl/n")).json.ttl).toBeLessThanOrEqual(100);
      expect((await kv.get("/ttl/n")).json.ttl).toBeGreaterThan(0);
      expect((await kv.get("/ttl/m")).json.ttl).toBe(-1);
    });
  },

  "POST /expire/:key": (kv) => {
    it("sets and removes the expiry", async () => {
      await kv.post("/set/a", "1");

      expect((await kv.json("/expire/a", { seconds: 100 })).text).toBe('{"status":"ok"}');
      expect((await kv.get("/ttl/a")).json.ttl).toBeGreaterThan(0);
      expect((await kv.json("/expire/a", { seconds: null })).text).toBe('{"status":"ok"}');
      expect((await kv.get("/ttl/a")).json.ttl).toBe(-1);
    });

    it.each([0, -5])("deletes the key with %d seconds", async (seconds) => {
      await kv.post("/set/a", "1");

      expect((await kv.json("/expire/a", { seconds })).json).toEqual({ status: "ok" });
      expect((await kv.get("/get/a")).status).toBe(404);
      expect((await kv.json("/expire/a", { seconds })).json).toEqual({ status: "key_not_found" });
    });

    it("answers 200 for an absent key and tells so", async () => {
      const answer = await kv.json("/expire/a", { seconds: 5 });

      expect([answer.status, answer.text]).toEqual([200, '{"status":"key_not_found"}']);
    });

    it.each([
      "{}",
      '{"seconds":"5"}',
      '{"seconds":1.5}',
      '{"seconds":100000000001}',
      '{"seconds":99999999999999999999}',
    ])("answers 422 to %s, naming the field", async (body) => {
      const details = [{ field: "seconds", message: expect.any(String) }];

      expect((await kv.json("/expire/a", body)).json).toEqual(failure(422, "UNPROCESSABLE", details));
    });
  },

  "POST /tx": (kv) => {
    it("carries out all operations and tells the result of each", async () => {
      const answer = await kv.json("/tx", {
        ops: [
          { set: "a", value: "hello", ttl: 100 },
          { set: "b", value: { base64: "/wA=" } },
          { increment: "n", by: 5, ttl: 100 },
          { increment: "n" },
          { del: "absent" },
          { del: "b" },
        ],
      });

      expect([answer.status, answer.json]).toEqual([
        200,
        {
          status: "ok",
          results: [
            { set: "a", e_tag: (await kv.get("/get/a")).headers.etag },
            { set: "b", e_tag: expect.stringMatching(/^"[0-9a-f]{40}"$/) },
            { increment: "n", value: 5 },
            { increment: "n", value: 6 },
            { del: "absent", deleted: 0 },
            { del: "b", deleted: 1 },
          ],
        },
      ]);
      expect((await kv.get("/ttl/a")).json.ttl).toBeGreaterThan(0);
      expect((await kv.get("/keys/*")).json).toEqual({ keys: ["a", "n"] });
    });

    it("takes and gives every digit of 64 bits", async () => {
      const body = '{"ops":[{"increment":"n","by":9007199254740993},{"increment":"m","by":"-9223372036854775808"}]}';

      expect((await kv.json("/tx", body)).text).toBe(
        '{"status":"ok","results":[{"increment":"n","value":9007199254740993},{"increment":"m","value":-9223372036854775808}]}',
      );
    });

    it("takes the tag that it gave as a condition, with or without quotes", async () => {
      const [{ e_tag }] = (await kv.json("/tx", { ops: [{ set: "a", value: "1" }] })).json.results;

      const quoted = await kv.json("/tx", { if: [{ key: "a", e_tag }], ops: [{ increment: "n" }] });
      const bare = await kv.json("/tx", { if: [{ key: "a", e_tag: e_tag.slice(1, -1) }], ops: [{ increment: "n" }] });

      expect([quoted.status, bare.json.results]).toEqual([200, [{ increment: "n", value: 2 }]]);
    });

    it("answers 422 to an operation with two verbs, and does neither", async () => {
      await kv.post("/set/a", "1");

      const answer = await kv.json("/tx", { ops: [{ del: "a", set: "b", value: "2" }] });

      expect([answer.status, answer.json.details[0].field]).toEqual([422, "ops.0"]);
      expect((await kv.get("/get/a")).text).toBe("1");
      expect((await kv.get("/get/b")).status).toBe(404);
    });

    it("answers 412 naming the key, and changes nothing, when a condition does not hold", async () => {
      await kv.post("/set/a", "1");

      const answer = await kv.json("/tx", {
        if: [
          { key: "b", absent: true },
          { key: "a", absent: true },
        ],
        ops: [{ set: "b", value: "2" }],
      });

      expect([answer.status, answer.json]).toEqual([
        412,
        failure(412, "PRECONDITION_FAILED", { condition: 1, key: "a" }),
      ]);
      expect((await kv.get("/exists/b")).json).toEqual({ exists: false });
    });

    it("answers 409 and changes nothing when an operation fails", async () => {
      await kv.post("/set/word", "abc");

      const answer = await kv.json("/tx", { ops: [{ set: "a", value: "1" }, { del: "word" }, { increment: "a" }] });
      const failed = await kv.json("/tx", { ops: [{ set: "b", value: "x" }, { increment: "b" }] });

      expect(answer.status).toBe(200);
      expect(failed.json).toEqual(failure(409, "CONFLICT"));
      expect((await kv.get("/keys/*")).json).toEqual({ keys: ["a"] });
    });

    it.each([
      ["no operation", '{"ops":[]}', "ops"],
      ["no list", "{}", "ops"],
      ["an unknown operation", '{"ops":[{"frob":"a"}]}', "ops.0"],
      ["a set without a value", '{"ops":[{"set":"a"}]}', "ops.0"],
      ["a number of 65 bits", '{"ops":[{"increment":"a","by":9223372036854775808}]}', "ops.0.by"],
      ["a fraction", '{"ops":[{"increment":"a","by":1.5}]}', "ops.0"],
      ["a key of 1025 bytes", `{"ops":[{"del":"${"k".repeat(1025)}"}]}`, "ops.0.del"],
      ["a condition without a question", '{"if":[{"key":"a"}],"ops":[{"del":"a"}]}', "if.0"],
      ["a condition with two", '{"if":[{"key":"a","e_tag":"x","absent":true}],"ops":[{"del":"a"}]}', "if.0"],
      ["a condition on absent: false", '{"if":[{"key":"a","absent":false}],"ops":[{"del":"a"}]}', "if.0.absent"],
      ["1001 operations", JSON.stringify({ ops: Array.from({ length: 1001 }, () => ({ del: "a" })) }), "ops"],
    ])("answers 422 to %s, naming the place", async (_name, body, field) => {
      const answer = await kv.json("/tx", body);

      expect([answer.status, answer.json.code]).toEqual([422, "UNPROCESSABLE"]);
      expect(answer.json.details.map((detail: { field: string }) => detail.field)).toContain(field);
    });

    it("takes a thousand operations and ignores unknown fields", async () => {
      const ops = Array.from({ length: 1000 }, () => ({ increment: "n", unknown: 1 }));

      const { json } = await kv.json("/tx", { ops, unknown: true });

      expect(json.results.at(-1)).toEqual({ increment: "n", value: 1000 });
    });
  },
};
