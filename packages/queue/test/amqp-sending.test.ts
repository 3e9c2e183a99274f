/** Messages that RabbitMQ does not take, and those that are sent beside them. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import type { QueueBackend } from "../src/backend.ts";
import { drain, failure, Foreigner, openAmqp, PLAIN, queueSource, takeOne, uniqueName } from "./amqp/foreigner.ts";

const MOST_BYTES = 1_000_000;

let server: RabbitmqServer;
let foreigner: Foreigner;
let queue: QueueBackend;
let name: string;
beforeAll(async () => {
  server = await startRabbitmq({ settings: [`max_message_size = ${MOST_BYTES}`] });
}, 300_000);
beforeEach(async () => {
  foreigner = await Foreigner.connect(server.url);
  queue = await openAmqp(server.url);
  name = uniqueName();
});
afterEach(async () => {
  await queue.close();
  await foreigner.close();
});
afterAll(() => server?.remove());

const payloads = Array.from({ length: 50 }, (_, n) => String(n));

it.each([MOST_BYTES + 1, 2 * MOST_BYTES])(
  "answers PAYLOAD_TOO_LARGE to a message of %i bytes, and takes what is sent at the same time",
  async (bytes) => {
    const large = `"${"x".repeat(bytes - 2)}"`;
    await queue.push(name, ["0"], PLAIN);
    await drain(queue, queueSource(name));

    const refused = failure(queue.push(`${name} large`, [large], PLAIN));
    const pushed = await Promise.all(payloads.map((payload) => queue.push(name, [payload], PLAIN)));

    expect(await refused).toMatchObject({ code: "PAYLOAD_TOO_LARGE", details: { limit_bytes: MOST_BYTES } });
    expect((await failure(queue.push(name, [large], PLAIN))).code).toBe("PAYLOAD_TOO_LARGE");
    const came = new Set((await drain(queue, queueSource(name))).map(({ id }) => id));
    expect(pushed.flat().filter((id) => !came.has(id))).toEqual([]);
    await queue.push(name, [large.slice(0, MOST_BYTES - 1).concat('"')], PLAIN);
    expect(await drain(queue, queueSource(name))).toHaveLength(1);
  },
);

it("takes what is sent while another's delay turns out to be deleted", async () => {
  await queue.push(name, ["0"], { ...PLAIN, delayMs: 40 });
  await until("it is due", async () => (await foreigner.ready(name)) === 1);
  await foreigner.channel.deleteQueue("mikcar.delay.queue.40"); // and its exchange

  const delayed = failure(queue.push(name, ["1"], { ...PLAIN, delayMs: 40 }));
  const pushed = await Promise.all(payloads.map((payload) => queue.push(name, [payload], PLAIN)));

  await delayed; // which may have been refused, or not
  const came = new Set((await drain(queue, queueSource(name))).map(({ id }) => id));
  expect(pushed.flat().filter((id) => !came.has(id))).toEqual([]);
});

it("redrives what finds room, once, and keeps the others dead", async () => {
  const source = queueSource(name);
  const limits = { "x-max-length": 3, "x-overflow": "reject-publish" };
  await foreigner.channel.assertQueue(name, { durable: true, arguments: limits });
  const ids = (await queue.push(name, ["1", "2", "3"], PLAIN)).toSorted();
  for (let round = 0; round < 3; round++) {
    const { messages } = await queue.take(source, 3, 30_000);
    for (const { id } of messages) await queue.nack(source, id, 0, "bad");
  }
  await until("all are dead", async () => (await queue.count(source)).dead === 3);
  await queue.push(name, ["4", "5"], PLAIN);

  const refused = await failure(queue.redrive(source, 10));

  expect(refused.code).toBe("UNAVAILABLE");
  const waiting = (await drain(queue, source)).map(({ id }) => id).filter((id) => ids.includes(id));
  await until("the rest is dead", async () => (await queue.count(source)).dead === 3 - waiting.length);
  const dead = (await queue.listDead(source, 10)).map(({ id }) => id);
  expect([...waiting, ...dead].toSorted()).toEqual(ids);
  expect(waiting.length).toBeGreaterThan(0);
});

it("counts and buries a message whose headers can be read and not written", async () => {
  const source = queueSource(name);
  await foreigner.channel.assertQueue(name, { durable: true });
  await foreigner.send(name, "1", { messageId: "theirs", headers: { n: { "!": "double", value: -1e19 } } });

  for (let round = 0; round < 3; round++) {
    const message = await takeOne(queue, name);
    expect(message).toMatchObject({ id: "theirs", deliveries: round + 1 });
    expect(await queue.nack(source, "theirs", 0, "bad")).toBe(true);
  }

  expect(await queue.listDead(source, 10)).toMatchObject([{ id: "theirs", reason: "bad", deliveries: 3 }]);
  expect(await queue.redrive(source, 10)).toBe(1);
  expect(await drain(queue, source)).toMatchObject([{ id: "theirs", deliveries: 1 }]);
});
