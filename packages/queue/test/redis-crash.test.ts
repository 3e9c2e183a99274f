import { afterAll, beforeAll, describe } from "@jest/globals";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { survivesItsBroker, survivesKills } from "./crashes.ts";

let server: RedisServer;
let fresh: () => string;
beforeAll(async () => {
  server = await startRedis();
  const urls = await Promise.all(Array.from({ length: 3 }, () => server.freshUrl()));
  fresh = () => `${urls.pop()}?max_deliveries=1000&timeout_ms=2000`;
}, 120_000);
afterAll(() => server?.remove());

describe("the Redis queue of two sidecars", () => {
  survivesKills({ url: () => fresh() });

  survivesItsBroker("is stopped and started", { url: () => fresh() }, async () => {
    await server.stop();
    await server.start();
  });

  survivesItsBroker("is killed and started", { url: () => fresh() }, async () => {
    await server.kill();
    await server.start();
  });
});
