import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { open } from "../src/backends/amqp/index.ts";
import { queueContract } from "./contract.ts";

let server: RabbitmqServer;
beforeAll(async () => {
  server = await startRabbitmq();
}, 300_000);
afterAll(() => server?.remove());

queueContract("amqp", {
  open: () => open(configUrl(`${server.url}?max_deliveries=3`)),
  quirks: {
    "leases-are-not-counted": "AMQP tells how many messages are ready, and nothing of the others",
    "delays-are-rounded-up": "there is a queue for each delay, and there should not be too many",
  },
});
