import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { drain, failure, openAmqp, PLAIN, queueSource } from "./amqp/foreigner.ts";
import { ROUNDS, survivesItsBroker, survivesKills } from "./crashes.ts";

let server: RabbitmqServer;
beforeAll(async () => {
  server = await startRabbitmq();
}, 300_000);
afterAll(() => server?.remove());

/** It starts slowly: once is enough, except where time does not count. */
const rounds = ROUNDS < 50 ? 1 : ROUNDS;
const answers = [() => true, () => false] as const;
const url = (): string => `${server.url}?max_deliveries=1000&timeout_ms=2000`;

it("keeps what waits, is leased, delayed or dead when the broker is killed, and nobody gets twice what he holds", async () => {
  const queue = await openAmqp(server.url);
  const source = queueSource("kept");
  const group = { name: "kept", group: "late" };
  await queue.take(group, 1, 1000);
  const [dead = "", leased = "", acked = ""] = await queue.push("kept", ["0", "1", "2", "3"], PLAIN);
  for (let round = 0; round < 3; round++) {
    await queue.take(source, round === 0 ? 4 : 1, 120_000);
    await queue.nack(source, dead, 0, "bad");
  }
  await queue.ack(source, [acked]);
  await queue.push("kept", ['"delayed"'], { ...PLAIN, delayMs: 2000 });
  await queue.publish("kept", ["4"], PLAIN);

  await server.kill();
  expect((await failure(queue.push("kept", ["5"], PLAIN))).code).toBe("UNAVAILABLE");
  await server.start();
  await until("it works again", () => queue.ping().then(...answers), 20_000);

  await until("the delayed one is due", async () => (await queue.count(source)).waiting >= 1, 20_000);
  const payloads: string[] = [];
  await until("it came", async () => {
    payloads.push(...(await drain(queue, source)).map(({ payload }) => payload));
    return payloads.includes('"delayed"');
  });
  expect(payloads).toEqual(['"delayed"']);
  expect(await queue.ack(source, [leased])).toEqual([true]);
  expect(await queue.listDead(source, 10)).toMatchObject([{ id: dead, reason: "bad", deliveries: 3 }]);
  expect((await drain(queue, group)).map(({ payload }) => payload)).toEqual(["4"]);
  await queue.close();
}, 120_000);

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
