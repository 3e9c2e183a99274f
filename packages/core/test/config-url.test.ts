import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { configUrl, fileUrl } from "../src/index.ts";

describe("a backend URL", () => {
  it.each([
    ["memory://", { scheme: "memory", host: "", path: "" }],
    ["sqlite::memory:", { scheme: "sqlite", host: "", path: ":memory:" }],
    ["file:///var/data", { scheme: "file", host: "", path: "/var/data" }],
    ["file://./data/kv.lmdb", { scheme: "file", host: "", path: "./data/kv.lmdb" }],
    ["file:data/kv.lmdb", { scheme: "file", host: "", path: "data/kv.lmdb" }],
    ["s3://Bucket/team-a", { scheme: "s3", host: "Bucket", path: "/team-a" }],
    ["redis://localhost:6380/2", { scheme: "redis", host: "localhost", port: 6380, path: "/2" }],
    ["redis://[::1]:6379", { scheme: "redis", host: "[::1]", port: 6379, path: "" }],
    ["env://APP_", { scheme: "env", host: "APP_", path: "" }],
    ["redis+cluster://a,b", { scheme: "redis+cluster", host: "a", port: undefined, path: "" }],
  ])("%s is read as it is meant", (text, expected) => {
    expect(configUrl(text)).toMatchObject(expected);
  });

  it.each([
    ["smtp://user:pass@host", "user", "pass"],
    ["smtp://apikey:SG.x:y@host:587", "apikey", "SG.x:y"],
    ["smtp://us%40er:p%2Fa%3Ass@host", "us@er", "p/a:ss"],
    ["smtp://user@gmail.com:app-pass@host", "user@gmail.com", "app-pass"],
    ["smtp://user:50%off%40home%ff%@host", "user", "50%off@home%ff%"],
    ["smtp://user:p@ss@host", "user", "p@ss"],
    ["smtp://only@host", "only", ""],
  ])("%s gives the credentials, decoded once", (text, username, password) => {
    expect(configUrl(text).credentials).toEqual({ username, password });
    expect(configUrl(text).host).toBe("host");
  });

  it("gives the hosts of a scheme that has several, and prints them all", () => {
    const url = configUrl("redis+cluster://u:p%2C@h1:7000,[::1]:7001,h3?timeout_ms=5");

    expect(url.hosts).toEqual([
      { host: "h1", port: 7000 },
      { host: "[::1]", port: 7001 },
      { host: "h3", port: undefined },
    ]);
    expect([url.host, url.port]).toEqual(["h1", 7000]);
    expect(url.credentials).toEqual({ username: "u", password: "p," });
    expect(url.toString()).toBe("redis+cluster://u:***@h1:7000,[::1]:7001,h3?timeout_ms=5");
  });

  it("gives the one host of any other scheme, and none of a file's", () => {
    expect(configUrl("redis://h:1").hosts).toEqual([{ host: "h", port: 1 }]);
    expect(configUrl("file:///a,b").hosts).toEqual([]);
    expect(() => configUrl("redis://h1:1,h2:2")).toThrow("the host and port cannot be read");
    expect(() => configUrl("redis+cluster://h1:1,h2:x")).toThrow("the host and port cannot be read");
  });

  it("is printed without its password and secret parameters", () => {
    const url = configUrl("s3://id:pass-1@b/p?secret_access_key=key-2&token=tok-3&region=eu");

    expect(url.toString()).toBe("s3://id:***@b/p?secret_access_key=***&token=***&region=eu");
  });

  it("gives parameters by type, and their fallback when they are absent", () => {
    const url = configUrl("memory://?pool=5&tls&sync=false&name=x");

    expect(url.integer("pool", 10)).toBe(5);
    expect(url.integer("other", 10)).toBe(10);
    expect(url.flag("tls")).toBe(true);
    expect(url.flag("sync", true)).toBe(false);
    expect(url.string("name")).toBe("x");
    expect(url.string("absent", "y")).toBe("y");
  });

  it.each([
    ["memory://?pool=abc", /"pool" is "abc"; expected an integer/],
    ["memory://?pool=-1", /expected an integer from 0/],
    ["memory://?pool=1.5", /expected an integer/],
  ])("%s is refused with the parameter's name", (text, message) => {
    expect(() => configUrl(text).integer("pool", 1)).toThrow(message);
  });

  it("refuses a flag that is neither true nor false, and a required parameter that is missing", () => {
    expect(() => configUrl("memory://?tls=maybe").flag("tls")).toThrow(/"tls" is "maybe"; expected true or false/);
    expect(() => configUrl("memory://").string("region")).toThrow(/"region" is missing/);
  });

  it("refuses a parameter that nobody asked for, and lists those that were", () => {
    const url = configUrl("s3://b?regoin=eu");
    url.string("region", "");
    url.string("endpoint", "");

    expect(() => url.refuseUnread()).toThrow('unknown parameter "regoin"; known for s3: endpoint, region');
  });

  it.each(["", "no-scheme", "://x", "1s://x"])("%j is no URL, and is not repeated in the message", (text) => {
    expect(() => configUrl(text)).toThrow("not a URL; expected scheme://…");
  });

  it("is refused when a % is not followed by two hexadecimal digits", () => {
    expect(() => configUrl("file:///a%zz")).toThrow(/write %25/);
  });

  it("brings back any path that fileUrl was given", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        fc.pre(name.isWellFormed());
        const path = `/x/${name}`;

        expect(configUrl(fileUrl(path)).path).toBe(path);
      }),
    );
  });
});
