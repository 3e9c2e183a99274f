import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { type Answer, type Ask, ask, until } from "@mikcar/devkit";
import { call, expectError, json, put, url, watchPuts } from "../client.ts";

/** @param refusesProto Metadata of the name `__proto__`. */
export function writing(refusesProto: boolean): void {
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
        "x-meta-constructor": "c",
        ...(refusesProto ? {} : { "x-meta-__proto__": "p" }),
      };
      await put("x", "<p>", kept);

      expect((await call("GET", "/object/x")).headers).toMatchObject(kept);
      expect((await call("HEAD", "/object/x")).headers).toMatchObject(kept);
      await put("x", "plain");
      const { headers } = await call("GET", "/object/x");
      expect(headers["content-type"]).toBe("application/octet-stream");
      expect(headers).not.toHaveProperty("x-meta-author");
      if (refusesProto) expectError(await put("x", "", { "x-meta-__proto__": "p" }), 400, "BAD_REQUEST");
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

    it("stores nothing of a body that breaks off", async () => {
      const { isOver } = watchPuts();
      const { port } = new URL(url());
      const socket = connect(Number(port), "127.0.0.1");
      await once(socket, "connect");

      socket.write("PUT /storage/object/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf", () =>
        socket.destroy(),
      );
      await until("the upload is given up", isOver);

      expect((await call("GET", "/object/x")).status).toBe(404);
      expect((await call("GET", "/list")).json.objects).toEqual([]);
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

      expectError(
        await call("DELETE", "/object/x", { headers: { "if-match": '"other"' } }),
        412,
        "PRECONDITION_FAILED",
      );
      expect((await call("DELETE", "/object/x", { headers: { "if-match": json.e_tag } })).status).toBe(200);
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
  });

  describe("POST /presign", () => {
    const follow = (url: string, options: Ask = {}): Promise<Answer> =>
      ask(url, url.slice(new URL(url).origin.length), options);

    it("makes a URL that writes, and one that reads, without anything else but the headers it tells", async () => {
      const write = await call("POST", "/presign/a%20b/%C3%BC", json({ method: "PUT", expires_in: 60 }));
      expect(Date.parse(write.json.expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
      const written = await follow(write.json.url, { method: "PUT", headers: write.json.headers, body: "hello" });
      expect([200, 201]).toContain(written.status);

      const read = await call("POST", "/presign/a%20b/%C3%BC");

      expect(Date.parse(read.json.expires_at) - Date.now()).toBeGreaterThan(890_000);
      expect((await follow(read.json.url, { headers: read.json.headers })).text).toBe("hello");
      expect((await call("GET", "/object/a%20b/%C3%BC")).text).toBe("hello");
    });
  });
}
