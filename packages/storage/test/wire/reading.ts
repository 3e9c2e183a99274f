import { describe, expect, it } from "@jest/globals";
import type { Answer } from "@mikcar/devkit";
import { call, expectError, put } from "../client.ts";

export function reading(): void {
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
}
