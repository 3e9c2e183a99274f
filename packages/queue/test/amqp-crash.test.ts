import { afterAll, beforeAll, describe } from "@jest/globals";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { ROUNDS, survivesItsBroker, survivesKills } from "./crashes.ts";

let server: RabbitmqServer;
beforeAll(async () => {
  server = await startRabbitmq();
}, 300_000);
afterAll(() => server?.remove());

/** It starts slowly: once is enough, except where time does not count. */
const rounds = ROUNDS < 50 ? 1 : ROUNDS;
const url = (): string => `${server.url}?max_deliveries=1000&timeout_ms=2000`;

describe("the RabbitMQ queue of two sidecars", () => {
  survivesKills({ url, leasesEndEarly: true });

  survivesItsBroker("is stopped and started", { url, leasesEndEarly: true, rounds }, async () => {
    await server.stop();
    await server.start();
  });

  survivesItsBroker("is killed and started", { url, leasesEndEarly: true, rounds }, async () => {
    await server.kill();
    await server.start();
  });
});
