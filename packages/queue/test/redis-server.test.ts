/** What is peculiar to Redis: other programs that touch its keys, and a server that stands still. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { open } from "../src/backends/redis/index.ts";
import type { QueueBackend } from "../src/backend.ts";

const PLAIN = { delayMs: 0, idempotencyKey: undefined };
const q = { name: "q", group: undefined };

let server: RedisServer;
let queue: QueueBackend;
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server.remove());
beforeEach(async () => {
  await server.command("FLUSHALL");
  queue = await open(configUrl(`${server.url}?timeout_ms=500`));
});
afterEach(() => queue.close());

const ids = (messages: readonly { readonly id: string }[]): string[] => messages.map(({ id }) => id);

describe("another program", () => {
  it("adds to a stream, and wakes who waits within a second", async () => {
    let rings = 0;
    await queue.take(q, 1, 1000);
    const stop = await queue.listen(q, () => rings++);

    await server.command("XADD", "q", "*", "payload", "hello");

    await until("it was rung", () => rings > 0, 1500);
    stop();
    expect((await queue.take(q, 5, 1000)).messages).toMatchObject([{ payload: '{"data":"hello"}', deliveries: 1 }]);
  });

  it("deletes a queue with leases in it: the queue goes on, empty", async () => {
    await queue.push("q", ["1", "2"], PLAIN);
    await queue.take(q, 1, 1);
    await server.command("DEL", "q");
    await queue.push("q", ["3"], PLAIN);

    const { messages } = await queue.take(q, 5, 1000);

    expect(messages.map(({ payload }) => payload)).toEqual(["3"]);
    expect(await queue.count(q)).toEqual({ waiting: 0, leased: 1, delayed: 0, dead: 0 });
  });

  it("destroys the group: every message that is there is handed out, none is lost", async () => {
    const pushed = await queue.push("q", ["1", "2", "3"], PLAIN);
    await queue.take(q, 1, 1);
    const held = await queue.take(q, 1, 60_000);
    await server.command("XGROUP", "DESTROY", "q", "mikcar");

    const { messages } = await queue.take(q, 5, 1000);

    expect(held.messages).toHaveLength(1);
    expect(ids(messages)).toEqual(pushed);
  });

  it("makes the group anew before we have seen that: none is lost either", async () => {
    const pushed = await queue.push("q", ["1", "2"], PLAIN);
    await queue.take(q, 2, 1);
    await server.command("XGROUP", "DESTROY", "q", "mikcar");
    await server.command("XGROUP", "CREATE", "q", "mikcar", "0");

    const { messages } = await queue.take(q, 5, 1000);

    expect(ids(messages)).toEqual(pushed);
  });

  it("acknowledges what we have leased: it is not handed out again", async () => {
    const [first = ""] = await queue.push("q", ["1", "2"], PLAIN);
    await queue.take(q, 1, 1);
    await server.command("XACK", "q", "mikcar", first);

    const { messages } = await queue.take(q, 5, 1000);

    expect(messages.map(({ payload }) => payload)).toEqual(["2"]);
  });

  it("has taken messages and never acknowledged them: they can be taken after half a minute", async () => {
    const [id = ""] = await queue.push("q", ["1"], PLAIN);
    await server.command("XGROUP", "CREATE", "q", "mikcar", "0");
    await server.command("XREADGROUP", "GROUP", "mikcar", "theirs", "STREAMS", "q", ">");
    await server.command("XCLAIM", "q", "mikcar", "theirs", "0", id, "IDLE", "31000");

    await until("it is taken", async () => (await queue.take(q, 1, 60_000)).messages.length === 1);
  });

  it("has put something else there: a clear refusal, and it stays", async () => {
    await server.command("SET", "q", "mine");

    await expect(queue.push("q", ["1"], PLAIN)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(queue.take(q, 1, 1000)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await server.command("GET", "q")).toBe("mine");
  });
});

describe("a queue that nobody has used", () => {
  it("leaves no key behind when it is polled, and no string ever", async () => {
    await queue.take(q, 1, 1000);
    await queue.count(q);
    await queue.peek(q, 1);
    expect(await server.command("DBSIZE")).toBe(0);

    await queue.push("q", ["1"], { ...PLAIN, idempotencyKey: "key" });
    const keys = (await server.command("KEYS", "*")) as string[];
    for (const key of keys) expect(await server.command("TYPE", key)).not.toBe("string");
  });
});

describe("large messages", () => {
  it("are handed out some 16 MiB at a time, however small those before them were", async () => {
    const large = JSON.stringify("x".repeat(6_000_000));
    await queue.push("q", ["1", "2", "3", "4"], PLAIN);
    for (let count = 0; count < 8; count++) await queue.push("q", [large], PLAIN);

    const sizes: number[] = [];
    let taken = 0;
    while (taken < 12) {
      const { messages, nextInMs } = await queue.take(q, 256, 60_000);
      taken += messages.length;
      sizes.push(messages.reduce((sum, { payload }) => sum + payload.length, 0));
      if (taken < 12) expect(nextInMs).toBe(0);
    }

    expect(Math.max(...sizes)).toBeLessThanOrEqual(16 * 1024 * 1024 + large.length);
  }, 30_000);
});

describe("a server that stands still", () => {
  const topic = { name: "t", group: "default" };
  beforeEach(async () => {
    await queue.take({ name: "other", group: undefined }, 1, 1); // knows the time from then on, and asks for it no more
  });

  it.each([
    ["queue", q],
    ["topic", topic],
  ])("holds nothing for the take of a %s that was given up, and counts nothing", async (_kind, source) => {
    if (source === q) await queue.push("q", ["1", "2"], PLAIN);
    else await queue.publish("t", ["1", "2"], PLAIN);

    server.freeze();
    try {
      await expect(queue.take(source, 5, 43_200_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    } finally {
      server.thaw();
    }

    await until("all can be taken", async () => {
      const { waiting, leased } = await queue.count(source).catch(() => ({ waiting: 0, leased: 2 }));
      return waiting === 2 && leased === 0;
    });
    const { messages } = await queue.take(source, 5, 1000);
    expect(messages.map(({ deliveries }) => deliveries)).toEqual([1, 1]);
  });

  it("leaves a take that came through to those who have it", async () => {
    await queue.push("q", ["1", "2"], PLAIN);
    const { messages } = await queue.take(q, 1, 43_200_000);

    server.freeze();
    try {
      await expect(queue.take(q, 1, 43_200_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    } finally {
      server.thaw();
    }

    await until("the other can be taken", async () => {
      const { waiting, leased } = await queue.count(q).catch(() => ({ waiting: 0, leased: 0 }));
      return waiting === 1 && leased === 1;
    });
    expect(await queue.ack(q, ids(messages))).toEqual([true]);
  });

  it("forgets nothing of a take that was given up because of a shorter one after it", async () => {
    const other = await open(configUrl(server.url));
    try {
      await queue.push("q", ["1", "2"], PLAIN);
      server.freeze();
      try {
        await expect(queue.take(q, 1, 43_200_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      } finally {
        server.thaw();
      }
      await until("Redis has done it", async () => (await other.count(q)).leased === 1);

      await other.take(q, 1, 50);

      await until("all can be taken", async () => (await other.count(q)).waiting === 2);
    } finally {
      await other.close();
    }
  });
});

it("does not remember the takes of every process there ever was", async () => {
  for (let process = 0; process < 40; process++) {
    const other = await open(configUrl(server.url));
    await other.push("q", ["1"], PLAIN);
    expect((await other.take(q, 1, 40)).messages).toHaveLength(1);
    await other.close();
  }

  const [key] = (await server.command("KEYS", "*taken")) as string[];
  expect(await server.command("HLEN", key ?? "")).toBeLessThan(40);
});
