import { afterAll, afterEach, beforeAll, beforeEach, describe } from "@jest/globals";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { delays } from "./amqp/delays.ts";
import { foreign } from "./amqp/foreign.ts";
import { type Bench, Foreigner, openAmqp, uniqueName } from "./amqp/foreigner.ts";
import { holding } from "./amqp/holding.ts";

let server: RabbitmqServer;
let bench: Bench;
beforeAll(async () => {
  server = await startRabbitmq();
}, 300_000);
beforeEach(async () => {
  const { url } = server;
  bench = { url, foreigner: await Foreigner.connect(url), queue: await openAmqp(url), name: uniqueName() };
});
afterEach(async () => {
  await bench.queue.close();
  await bench.foreigner.close();
});
afterAll(() => server?.remove());

describe("other programs on the same RabbitMQ", () => foreign(() => bench));
describe("messages on RabbitMQ that are held", () => holding(() => bench));
describe("messages on RabbitMQ that come later", () => delays(() => bench));
