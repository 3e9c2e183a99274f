import { afterAll, beforeAll, jest } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { open } from "../src/backends/redis/index.ts";
import { kvContract } from "./contract.ts";
import { redisClock } from "./redis-clock.ts";

// The clock of Redis goes on. A machine that is held up for 0.7 s in the midst of a test has tested something else.
jest.retryTimes(3, { logErrorsBeforeRetry: true });

let server: RedisServer;
let url = "";
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server.remove());

kvContract("redis", {
  open: async () => {
    url = await server.freshUrl();
    return open(configUrl(`${url}?notify=true`));
  },
  clock: redisClock(() => [url]),
  quirks: { "time-goes-on": "Redis counts the time itself" },
});
