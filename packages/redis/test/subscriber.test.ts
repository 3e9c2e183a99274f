import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { readRedisUrl, Subscriber } from "../src/index.ts";

let server: RedisServer;
let subscriber: Subscriber;
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server.remove());
beforeEach(() => {
  const config = readRedisUrl(configUrl(`${server.url}?timeout_ms=500`));
  subscriber = new Subscriber(config, config.hosts[0] ?? { host: "", port: undefined }, () => undefined);
});
afterEach(() => subscriber.close());

async function connections(): Promise<number> {
  const list = String(await server.command("CLIENT", "LIST", "TYPE", "PUBSUB"));
  return list.split("\n").filter((line) => line !== "").length;
}

it("hears its channels over one connection, each listener until it stops", async () => {
  const heard = { a: 0, alsoA: 0, b: 0 };
  const stop = await subscriber.listen("a", () => heard.a++);
  await Promise.all([subscriber.listen("a", () => heard.alsoA++), subscriber.listen("b", () => heard.b++)]);

  await server.command("PUBLISH", "a", "");
  await until("both were told", () => heard.a + heard.alsoA === 2);
  stop();
  await server.command("PUBLISH", "a", "");
  await until("the other was told", () => heard.alsoA === 2);

  expect(heard).toEqual({ a: 1, alsoA: 2, b: 0 });
  expect(await connections()).toBe(1);
});

it("tells of the loss and of the return, and hears again", async () => {
  let heard = 0;
  await subscriber.listen("a", () => heard++);

  await server.kill();
  await until("the loss was told", () => heard >= 1);
  await server.start();
  await until("it listens again", async () => (await connections()) === 1);
  await until("the return was told", () => heard >= 2);
  const before = heard;
  await server.command("PUBLISH", "a", "");

  await until("it was told", () => heard > before);
});

it("refuses within its time when the server is silent, and takes up again", async () => {
  server.freeze();
  try {
    await expect(subscriber.listen("a", () => undefined)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  } finally {
    server.thaw();
  }

  let heard = 0;
  await subscriber.listen("a", () => heard++);
  await server.command("PUBLISH", "a", "");
  await until("it was told", () => heard > 0);
});

it("refuses when it is closed, and holds no connection", async () => {
  await subscriber.listen("a", () => undefined);

  await subscriber.close();

  await expect(subscriber.listen("a", () => undefined)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await until("the connection is gone", async () => (await connections()) === 0);
});

it("hears a channel that is listened to again while it is given up", async () => {
  const config = readRedisUrl(configUrl(server.url));
  const host = config.hosts[0] ?? { host: "", port: undefined };
  const hasty = new Subscriber(config, host, () => undefined, 1);
  const stay = await hasty.listen("stay", () => undefined); // so that the connection is kept
  try {
    for (let round = 0; round < 300; round++) {
      (await hasty.listen("again", () => undefined))();
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
      let heard = 0;
      const stop = await hasty.listen("again", () => heard++);

      await server.command("PUBLISH", "again", "");

      await until(`it was told in round ${round}`, () => heard > 0, 2000);
      stop();
    }
  } finally {
    stay();
    await hasty.close();
  }
}, 60_000);
