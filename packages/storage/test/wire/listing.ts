import { beforeEach, describe, expect, it } from "@jest/globals";
import type { Answer } from "@mikcar/devkit";
import { call, expectError, json, put } from "../client.ts";

/** @param hidesFolders What is below an object is not listed, so there is none beside its folder. */
export function listing(hidesFolders: boolean): void {
  it("may hold encoded slashes, spaces, percent signs and emoji, and come back raw", async () => {
    for (const encoded of ["a%2Fb", "50%25%20off", "%F0%9F%98%80/x", "%252e%252e/y"]) {
      const path = decodeURIComponent(encoded);
      expect((await put(encoded, "x")).json.path).toBe(path);
      expect((await call("GET", `/list?offset=${encodeURIComponent(path)}`)).status).toBe(200);
      const { objects } = (await call("GET", "/list")).json;
      expect(objects.map(({ location }: { location: string }) => location)).toContain(path);
    }
  });

  describe("GET /list", () => {
    const first = hidesFolders ? "Z" : "a"; // both come before the folder
    beforeEach(async () => {
      for (const path of [first, "a/x", "a/y/z", "ab", "b/c"]) await put(path, path);
    });
    const locations = ({ json }: Answer): string[] =>
      json.objects.map(({ location }: { location: string }) => location);

    it("lists everything in byte order, with size, time and entity tag", async () => {
      const answer = await call("GET", "/list");

      expect(locations(answer)).toEqual([first, "a/x", "a/y/z", "ab", "b/c"]);
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
      const page = await call("GET", "/list?limit=2");
      const second = await call("GET", `/list?limit=2&offset=${encodeURIComponent(page.json.next_offset)}`);
      const third = await call("GET", `/list?limit=2&offset=${encodeURIComponent(second.json.next_offset)}`);

      expect([page, second, third].map(locations)).toEqual([[first, "a/x"], ["a/y/z", "ab"], ["b/c"]]);
      expect(third.json.next_offset).toBeNull();
      expect(locations(await call("GET", "/list/a?offset=a/x"))).toEqual(["a/y/z"]);
    });

    it("folds at a delimiter", async () => {
      const top = await call("GET", "/list?delimiter=/");
      const below = await call("GET", "/list/a?delimiter=%2F");

      expect([locations(top), top.json.prefixes]).toEqual([
        [first, "ab"],
        ["a/", "b/"],
      ]);
      expect([locations(below), below.json.prefixes]).toEqual([["a/x"], ["a/y/"]]);
    });
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
  });
}
