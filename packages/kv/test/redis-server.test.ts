/** What is true of Redis alone: its URL, the keys of other programs, and a server that goes away and comes back. */

import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder, until } from "@mikcar/devkit";
import { LOCALHOST, redisCommand, type RedisServer, startRedis } from "@mikcar/devkit/redis";
import type { KvBackend } from "../src/backend.ts";
import { open } from "../src/backends/redis/index.ts";
import { glob } from "../src/glob.ts";
import { expire, fill, increment, list, listPages, remove, run, set, text } from "./calls.ts";

let server: RedisServer;
let url: string;
const opened: KvBackend[] = [];
const warnings: string[] = [];
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
beforeEach(async () => {
  url = await server.freshUrl();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((kv) => kv.close()));
  warnings.length = 0;
});
afterAll(() => server.remove());

async function openKv(text = url): Promise<KvBackend> {
  const kv = await open(configUrl(text), (sentence) => warnings.push(sentence));
  opened.push(kv);
  return kv;
}

const redis = (...words: readonly string[]): Promise<unknown> => redisCommand(url, words);

describe("the URL", () => {
  it.each([
    ["redis://h?timeout_ms=0", '"timeout_ms" is "0"'],
    ["redis://h?timeout=5", 'unknown parameter "timeout"'],
    ["redis://h?ca=/x", 'unknown parameter "ca"'],
    ["redis://h/one", 'the path is "one"'],
    ["redis+cluster://h/1", "database 0 alone"],
    ["redis+cluster://h?ca=/x&tls=false", '"tls" is false'],
    ["rediss://h?ca=/does/not/exist", '"/does/not/exist" cannot be read'],
  ])("%s is refused", async (text, message) => {
    await expect(open(configUrl(text))).rejects.toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringContaining(message),
    });
  });

  it("names the database", async () => {
    const other = await server.freshUrl();
    await set(await openKv(), "a", "1");

    expect(await text(await openKv(other), "a")).toBeUndefined();
    expect(await redisCommand(url, ["GET", "a"])).toBe("1");
  });

  it("holds a user and a password, percent-encoded", async () => {
    await redis("ACL", "SETUSER", "us@er", "on", ">p/a:s s%", "~*", "&*", "+@all");
    const { host, pathname } = new URL(url);

    const kv = await openKv(`redis://us%40er:p%2Fa%3As%20s%25@${host}${pathname}`);

    await set(kv, "a", "1");
    expect(await redis("GET", "a")).toBe("1");
  });

  it("with a wrong password answers UNAVAILABLE, and says why without showing it", async () => {
    await redis("ACL", "SETUSER", "someone", "on", ">right", "~*", "&*", "+@all");
    const kv = await openKv(url.replace("redis://", "redis://someone:wr0ng-secret@"));

    const failure = await kv.get("a").catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: "UNAVAILABLE" });
    await until("it was told", () => warnings.length > 0);
    expect(warnings.join()).toMatch(/refuses the user or the password of the URL/);
    expect(warnings.join() + String(failure)).not.toContain("wr0ng");
  });
});

describe("TLS", () => {
  let secure: RedisServer;
  const folder = temporaryFolder();
  beforeAll(async () => {
    secure = await startRedis({ tls: LOCALHOST, password: "a b" });
    writeFileSync(`${folder.path}/ca.pem`, LOCALHOST.authority);
  });
  afterAll(async () => {
    await secure.remove();
    folder.remove();
  });

  it("serves with the authority of the parameter ca", async () => {
    const kv = await openKv(`${secure.url}?ca=${folder.path}/ca.pem`);

    await set(kv, "a", "1");

    expect(await text(kv, "a")).toBe("1");
  });

  it("refuses a server whose authority it does not know, or whose name is another", async () => {
    const unknown = await openKv(secure.url);
    const other = await openKv(`${secure.url.replace("localhost", "127.0.0.1")}?ca=${folder.path}/ca.pem`);

    for (const kv of [unknown, other]) await expect(kv.get("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(warnings.join()).toContain("certificate");
  });
});

describe("keys of another type", () => {
  const calls: Record<string, (kv: KvBackend) => Promise<unknown>> = {
    get: (kv) => kv.get("list"),
    getMany: (kv) => kv.getMany(["a", "list", "absent"]),
    set: (kv) => set(kv, "list", "1"),
    "set among others": (kv) =>
      run(
        kv,
        { type: "set", key: "new", value: Buffer.from("1") },
        { type: "set", key: "list", value: Buffer.from("") },
      ),
    delete: (kv) => remove(kv, "list"),
    increment: (kv) => increment(kv, "list"),
    expire: (kv) => expire(kv, "list", 5),
  };
  it.each(Object.entries(calls))("are refused by %s, and left as they are", async (_name, call) => {
    await redis("RPUSH", "list", "one", "two");
    const kv = await openKv();
    await set(kv, "a", "1");

    await expect(call(kv)).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringMatching(/"list" is of another/),
    });

    expect(await redis("LRANGE", "list", "0", "-1")).toEqual(["one", "two"]);
    expect(await redis("TTL", "list")).toBe(-1);
    expect(await kv.exists("new")).toBe(false);
  });

  it("are not listed, nor are keys that are no UTF-8", async () => {
    await redis("RPUSH", "list", "one");
    await redis("EVAL", "redis.call('SET', '\\255', '1')", "0");
    const kv = await openKv();
    await set(kv, "a", "1");

    expect(await list(kv)).toEqual(["a"]);
    expect(await list(kv, "list")).toEqual([]);
  });
});

it("stores values as other programs read them", async () => {
  const kv = await openKv();
  await set(kv, "a", "text", 100);
  await redis("SET", "b", "from elsewhere");

  expect(await redis("GET", "a")).toBe("text");
  expect(await redis("TTL", "a")).toBe(100);
  expect(await text(kv, "b")).toBe("from elsewhere");
});

it("gives out cursors that hold for another opening", async () => {
  const before = await openKv();
  await fill(before, ["a", "b", "c"]);
  const { cursor } = await before.pageKeys(glob("*"), 1, undefined);
  await before.close();

  expect((await (await openKv()).pageKeys(glob("*"), 5, cursor)).keys).toEqual(["b", "c"]);
});

it("pages through twenty thousand keys, holding few of them", async () => {
  const kv = await openKv();
  const keys = Array.from({ length: 20_000 }, (_, index) => `k${String(index).padStart(5, "0")}`);
  await fill(kv, keys);

  const pages = await listPages(kv, "k*", 7000);

  expect(pages.map(({ length }) => length)).toEqual([7000, 7000, 6000]);
  expect(pages.flat()).toEqual(keys);
});

it("goes on when the server has forgotten the script", async () => {
  const kv = await openKv();
  await set(kv, "n", "1");
  await redis("SCRIPT", "FLUSH");

  const sums = await Promise.all(Array.from({ length: 10 }, () => increment(kv, "n")));

  expect(sums).toContain(11n);
});

describe("a server that goes away", () => {
  let frail: RedisServer;
  beforeEach(async () => {
    frail = await startRedis({ appendFsync: "always" });
    url = `${await frail.freshUrl()}?timeout_ms=400`;
  });
  afterEach(() => frail.remove());

  const works = async (kv: KvBackend): Promise<boolean> =>
    set(kv, "after", "1").then(
      () => true,
      () => false,
    );
  const endings: Record<string, [leave: () => void | Promise<void>, comeBack: () => void | Promise<void>]> = {
    stopped: [() => frail.stop(), () => frail.start()],
    killed: [() => frail.kill(), () => frail.start()],
    frozen: [() => frail.freeze(), () => frail.thaw()],
  };
  it.each(Object.entries(endings))(
    "%s: answers UNAVAILABLE in time, and serves again",
    async (_n, [leave, comeBack]) => {
      const kv = await openKv();
      await set(kv, "before", "1");

      await leave();
      const start = performance.now();
      const calls = [kv.get("before"), set(kv, "a", "1"), kv.getMany(["a"]), list(kv), kv.ping()];
      const outcomes = await Promise.allSettled(calls);
      const tookMs = performance.now() - start;

      for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "UNAVAILABLE" } });
      expect(tookMs).toBeLessThan(3000);
      await comeBack();
      await until("it serves again", () => works(kv));
      expect(await text(kv, "before")).toBe("1");
    },
  );

  it("refuses calls at once while it is known to be away", async () => {
    const kv = await openKv();
    await kv.ping();
    await frail.kill();
    await expect(kv.get("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await until("it was told", () => warnings.length > 0);

    const start = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 1000 }, () => kv.get("a")));

    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    expect(performance.now() - start).toBeLessThan(400);
    expect(warnings).toHaveLength(1);
  });

  it("may be away when the store is opened", async () => {
    await frail.kill();
    const kv = await openKv();
    await expect(kv.get("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });

    await frail.start();

    await until("it serves", () => works(kv));
  });

  it("may be away when the store is closed", async () => {
    const kv = await openKv();
    await kv.ping();
    frail.freeze();
    const call = kv.get("a").catch((error: { code: string }) => error.code);

    await kv.close();

    expect(await call).toBe("UNAVAILABLE");
  });
});
