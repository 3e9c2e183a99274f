import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { open } from "../src/backends/redis/index.ts";
import { kvContract } from "./contract.ts";
import { redisClock } from "./redis-clock.ts";
import { slowed, slowedClock } from "./slowed.ts";

let server: RedisServer;
let url = "";
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server.remove());

kvContract("redis", {
  open: async () => {
    url = await server.freshUrl();
    return slowed(await open(configUrl(`${url}?notify=true`)));
  },
  clock: slowedClock(redisClock(() => [url])),
  quirks: { "time-goes-on": "Redis counts the time itself" },
});
