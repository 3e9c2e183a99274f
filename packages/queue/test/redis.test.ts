import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type RedisServer, startRedis } from "@mikcar/devkit/redis";
import { open } from "../src/backends/redis/index.ts";
import { queueContract } from "./contract.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterAll(() => server?.remove());

queueContract("redis", { open: async () => open(configUrl(`${await server.freshUrl()}?max_deliveries=3`)) });
