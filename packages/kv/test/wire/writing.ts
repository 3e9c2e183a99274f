/** The routes that store and delete. */

import { expect, it } from "@jest/globals";
import { failure, type RouteTests } from "./client.ts";

const precondition = (key: string): unknown => failure(412, "PRECONDITION_FAILED", { condition: 0, key });

export const writing: RouteTests = {
  "POST /set/:key": (kv) => {
    it("stores the body, whatever its content type", async () => {
      const answer = await kv.post("/set/a%20b", "{not json", { "Content-Type": "application/json" });

      expect([answer.status, answer.json]).toEqual([200, { status: "ok", key: "a b" }]);
      expect((await kv.get("/get/a%20b")).text).toBe("{not json");
    });

    it("stores a body that comes in pieces", async () => {
      await kv.send("POST", "/set/a", { body: [Buffer.from("one "), Buffer.from("two")] });

      expect((await kv.get("/get/a")).text).toBe("one two");
    });

    it("sets an expiry with ttl, and takes it away without one or with 0", async () => {
      await kv.post("/set/a?ttl=100", "1");
      await kv.post("/set/b?ttl=100", "1");
      expect((await kv.get("/ttl/a")).json.ttl).toBeGreaterThan(0);

      await kv.post("/set/a", "1");
      await kv.post("/set/b?ttl=0", "1");

      expect((await kv.get("/ttl/a")).json.ttl).toBe(-1);
      expect((await kv.get("/ttl/b")).json.ttl).toBe(-1);
    });

    it.each(["ttl=-1", "ttl=abc", "ttl=1.5", "ttl=", "ttl=%201", "ttl=1e3", "ttl=100000000001", "if=maybe"])(
      "answers 400 to ?%s, naming it, and stores nothing",
      async (query) => {
        const details = [{ field: query.split("=")[0], message: expect.any(String) }];

        expect((await kv.post(`/set/a?${query}`, "1")).json).toEqual(failure(400, "BAD_REQUEST", details));
        expect((await kv.get("/get/a")).status).toBe(404);
      },
    );

    it("stores under ?if=absent and If-None-Match: * only what is not there", async () => {
      expect((await kv.post("/set/a?if=absent", "1")).status).toBe(200);
      expect((await kv.post("/set/b", "1", { "If-None-Match": "*" })).status).toBe(200);

      expect((await kv.post("/set/a?if=absent", "2")).json).toEqual(precondition("a"));
      expect((await kv.post("/set/b", "2", { "If-None-Match": "*" })).json).toEqual(precondition("b"));

      expect((await kv.json("/get/batch", { keys: ["a", "b"] })).json).toEqual({ a: "1", b: "1" });
    });

    it("stores under ?if=present only what is there", async () => {
      expect((await kv.post("/set/a?if=present", "1")).json).toEqual(precondition("a"));
      expect((await kv.get("/exists/a")).json).toEqual({ exists: false });

      await kv.post("/set/a", "1");

      expect((await kv.post("/set/a?if=present", "2")).status).toBe(200);
    });

    it("stores under If-Match only over the value with that tag", async () => {
      await kv.post("/set/a", "1");
      const tag = String((await kv.get("/get/a")).headers.etag);

      expect((await kv.post("/set/a", "2", { "If-Match": tag })).status).toBe(200);
      expect((await kv.post("/set/a", "3", { "If-Match": tag })).json).toEqual(precondition("a"));
      expect((await kv.post("/set/absent", "3", { "If-Match": "*" })).json).toEqual(precondition("absent"));

      expect((await kv.get("/get/a")).text).toBe("2");
    });
  },

  "POST /set/batch": (kv) => {
    it("stores strings and base64, also under names that objects have by themselves", async () => {
      const body = '{"a":"1","b":{"base64":"/wA="},"__proto__":"own","batch":"2","empty":""}';

      const answer = await kv.json("/set/batch", body);

      expect([answer.status, answer.json]).toEqual([200, { status: "ok", count: 5 }]);
      expect((await kv.get("/get/b")).body).toEqual(Buffer.from([0xff, 0]));
      expect((await kv.get("/get/__proto__")).text).toBe("own");
      expect((await kv.get("/get/batch")).text).toBe("2");
      expect((await kv.get("/get/empty")).status).toBe(200);
    });

    it("stores nothing for an empty object, and a thousand keys at most", async () => {
      const body = (count: number): unknown =>
        Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));

      expect((await kv.json("/set/batch", {})).json).toEqual({ status: "ok", count: 0 });
      expect((await kv.json("/set/batch", body(1000))).json).toEqual({ status: "ok", count: 1000 });
      expect((await kv.json("/set/batch", body(1001))).json).toEqual(
        failure(422, "UNPROCESSABLE", [{ field: "body", message: expect.any(String) }]),
      );
    });

    it("gives all keys the ttl", async () => {
      await kv.json("/set/batch?ttl=100", { a: "1", b: "2" });

      expect((await kv.get("/ttl/a")).json.ttl).toBeGreaterThan(0);
      expect((await kv.get("/ttl/b")).json.ttl).toBeGreaterThan(0);
      expect((await kv.json("/set/batch?ttl=-1", { a: "1" })).status).toBe(400);
    });

    it.each([
      ["a number", '{"a":"1","b":5}', "b"],
      ["null", '{"a":"1","b":null}', "b"],
      ["no base64", '{"a":"1","b":{"base64":"!"}}', "b"],
      ["half a character", String.raw`{"a":"1","b":"\ud800"}`, "b"],
      ["an empty key", '{"a":"1","":"2"}', ""],
      ["half a character as a key", String.raw`{"a":"1","\ud800":"2"}`, "\ud800"],
    ])("stores nothing when one entry is %s, and names it", async (_name, body, field) => {
      const answer = await kv.json("/set/batch", body);

      expect(answer.json).toEqual(failure(422, "UNPROCESSABLE", [{ field, message: expect.any(String) }]));
      expect((await kv.get("/get/a")).status).toBe(404);
    });

    it.each(["[]", "5", "null", '"a"'])("answers 422 to the body %s", async (body) => {
      expect((await kv.json("/set/batch", body)).json).toMatchObject({ code: "UNPROCESSABLE" });
    });
  },

  "DELETE /del/:key": (kv) => {
    it("tells whether there was something to delete", async () => {
      await kv.post("/set/a", "1");

      expect((await kv.send("DELETE", "/del/a")).text).toBe('{"status":"ok","deleted":1}');
      expect((await kv.send("DELETE", "/del/a")).text).toBe('{"status":"ok","deleted":0}');
    });

    it("deletes under If-Match only the value with that tag", async () => {
      await kv.post("/set/a", "1");
      const tag = String((await kv.get("/get/a")).headers.etag);

      const failed = await kv.send("DELETE", "/del/a", { headers: { "If-Match": '"x"' } });

      expect([failed.status, failed.json]).toEqual([412, precondition("a")]);
      expect((await kv.send("DELETE", "/del/a", { headers: { "If-Match": tag } })).json.deleted).toBe(1);
      expect((await kv.send("DELETE", "/del/a", { headers: { "If-Match": tag } })).status).toBe(412);
    });

    it("deletes a key named batch", async () => {
      await kv.json("/set/batch", { batch: "1" });

      expect((await kv.send("DELETE", "/del/batch")).json).toEqual({ status: "ok", deleted: 1 });
    });
  },

  "POST /del/batch": (kv) => {
    it("counts the keys that were there", async () => {
      await kv.json("/set/batch", { a: "1", b: "2", c: "3" });

      const answer = await kv.json("/del/batch", { keys: ["a", "b", "absent", "a"] });

      expect([answer.status, answer.json]).toEqual([200, { status: "ok", deleted: 2 }]);
      expect((await kv.get("/keys/*")).json).toEqual({ keys: ["c"] });
      expect((await kv.json("/del/batch", { keys: [] })).json).toEqual({ status: "ok", deleted: 0 });
    });
  },
};
