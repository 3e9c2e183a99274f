/** What becomes of messages and callers when RabbitMQ goes away, says nothing, or comes back. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { freePort, type Proxy, startProxy, until } from "@mikcar/devkit";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import type { QueueBackend } from "../src/backend.ts";
import { open } from "../src/backends/amqp/index.ts";
import { Load } from "./amqp/load.ts";
import { drain, failure, Foreigner, openAmqp, PLAIN, queueSource, takeOne, uniqueName } from "./amqp/foreigner.ts";

const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 5;

let server: RabbitmqServer;
let proxy: Proxy;
let url: string;
let queue: QueueBackend;
let name: string;
beforeAll(async () => {
  server = await startRabbitmq();
  const { port, hostname } = new URL(server.url);
  proxy = await startProxy(hostname, Number(port));
  const behind = new URL(server.url);
  behind.port = String(proxy.port);
  url = behind.href;
}, 300_000);
beforeEach(async () => {
  server.thaw();
  await cut();
  name = uniqueName();
  queue = await openAmqp(url);
  await queue.push(name, ["0"], PLAIN);
  await drain(queue, queueSource(name));
});
afterEach(() => queue.close());
afterAll(async () => {
  await proxy?.stop();
  await server?.remove();
});

/** All connections end, and new ones can be made at once. */
async function cut(): Promise<void> {
  await proxy.stop();
  await proxy.start();
}

const works = (): Promise<void> => until("it works again", () => queue.ping().then(...outcome));
const outcome = [() => true, () => false] as const;

it("starts without a broker, answers 503 meanwhile, and works once it is there", async () => {
  const late = await open(configUrl(`amqp://127.0.0.1:${await freePort()}?timeout_ms=1000`));
  await until("it has tried", async () => (await failure(late.ping())).code === "UNAVAILABLE");
  for (const call of [late.push("q", ["1"], PLAIN), takeOne(late, "q"), late.count(queueSource("q"))])
    expect((await failure(call)).code).toBe("UNAVAILABLE");
  await late.close();

  await proxy.stop();
  const other = await openAmqp(url);
  expect((await failure(other.ping())).code).toBe("UNAVAILABLE");
  await proxy.start();
  await until("it works", () => other.ping().then(...outcome));
  await other.close();
});

it("gives a leased message back to its holder alone when the connection was lost", async () => {
  const source = queueSource(name);
  for (let round = 0; round < ROUNDS; round++) {
    const ids = await queue.push(name, ["1", "2", "3"], PLAIN);
    const { messages } = await queue.take(source, 2, 20_000);
    await cut();
    await works();

    const others = await drain(queue, source);
    const acked = await queue.ack(source, ids.slice(0, 2));

    expect(messages.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(others.map(({ id }) => id)).toEqual(ids.slice(2));
    expect(acked).toEqual([true, true]);
    expect(await drain(queue, source)).toEqual([]);
    await until("nothing is left", async () => (await queue.count(source)).waiting === 0);
  }
}, 60_000);

it("hands nothing out again that was acknowledged while the connection was away, or just before", async () => {
  const source = queueSource(name);
  for (let round = 0; round < ROUNDS; round++) {
    const ids = await queue.push(name, ["1", "2", "3", "4"], PLAIN);
    await queue.take(source, 4, 20_000);

    await queue.ack(source, ids.slice(0, 2)); // on its way
    await proxy.stop();
    expect(await queue.ack(source, ids.slice(2))).toEqual([true, true]);
    await proxy.start();
    await works();

    expect(await drain(queue, source)).toEqual([]);
    await until("nothing is left", async () => (await queue.count(source)).waiting === 0);
  }
}, 60_000);

it("does with a nack while the connection was away what it says, when the message is back", async () => {
  const source = queueSource(name);
  const [id = ""] = await queue.push(name, ["1"], PLAIN);
  await takeOne(queue, name);
  await proxy.stop();
  await until("it knows", async () => (await failure(queue.ping())).code === "UNAVAILABLE");
  expect(await queue.nack(source, id, 0, "away")).toBe(true);
  await proxy.start();
  await works();

  let second: Awaited<ReturnType<typeof takeOne>>;
  await until("it is back", async () => {
    second = await takeOne(queue, name);
    return second !== undefined;
  });
  expect(second).toMatchObject({ id, deliveries: 2 });
});

it("keeps a redriven message that is given back after a lost connection", async () => {
  const source = queueSource(name);
  const [id = ""] = await queue.push(name, ["1"], PLAIN);
  for (let round = 0; round < 3; round++) {
    await takeOne(queue, name);
    await queue.nack(source, id, 0, "no");
  }
  expect(await queue.redrive(source, 1)).toBe(1);
  await takeOne(queue, name);
  await queue.release(source, [id]);
  await cut();
  await works();

  expect(await drain(queue, source)).toMatchObject([{ id, deliveries: 1 }]);
});

it("finds its way on a broker that has forgotten everything", async () => {
  const later = { ...PLAIN, delayMs: 20 };
  await queue.publish(name, ["1"], later);
  await queue.push(name, ["1"], later);
  await proxy.stop();
  const foreigner = await Foreigner.connect(server.url);
  await foreigner.channel.deleteExchange("mikcar.topics");
  for (const delay of ["mikcar.delay.queue.20", "mikcar.delay.topic.20"]) await foreigner.channel.deleteQueue(delay);
  await foreigner.channel.deleteQueue(name);
  await foreigner.close();
  await proxy.start();
  await works();

  await Promise.all([PLAIN, later].map((sending) => queue.publish(name, ["2"], sending)));
  await Promise.all([PLAIN, later].map((sending) => queue.push(name, ["2"], sending)));

  for (const source of [queueSource(name), { name, group: "default" }]) {
    await until("both came", async () => (await queue.count(source)).waiting >= 2);
    const payloads = (await drain(queue, source)).map(({ payload }) => payload);
    expect(payloads.filter((payload) => payload === "2")).toEqual(["2", "2"]);
  }
});

it("rings for who listens when the broker goes and when it comes, and then for messages", async () => {
  const source = queueSource(name);
  let rings = 0;
  const stop = await queue.listen(source, () => rings++);

  await proxy.stop();
  await until("it rings as the broker went", () => rings > 0);
  await until("nothing can be taken", async () => (await failure(takeOne(queue, name))).code === "UNAVAILABLE");
  rings = 0;
  await proxy.start();
  await until("it rings as the broker came", () => rings > 0);
  await until("it is empty", async () => (await takeOne(queue, name).catch(() => undefined)) === undefined);
  await works();
  await queue.take(source, 1, 1000);
  rings = 0;
  await queue.push(name, ["1"], PLAIN);
  await until("it rings for a message", () => rings > 0);
  stop();
});

it("answers 503 in time when the broker says nothing, and works when it does again", async () => {
  const source = queueSource(name);
  await queue.push(name, ["1", "2"], PLAIN);
  const first = await takeOne(queue, name);
  server.freeze();
  const begin = performance.now();

  const calls = [
    queue.push(name, ["3"], PLAIN),
    queue.publish(name, ["3"], PLAIN),
    queue.push(name, ["3"], { ...PLAIN, delayMs: 77_770 }),
    takeOne(queue, name),
    queue.nack(source, first?.id ?? "", 0, "no"),
    queue.count(source),
    queue.peek(source, 1),
    queue.purge(source),
    queue.listDead(source, 1),
    queue.redrive(source, 1),
    queue.listen(source, () => undefined),
    queue.ping(),
  ];
  const codes = (await Promise.all(calls.map(failure))).map(({ code }) => code);

  expect(codes).toEqual(calls.map(() => "UNAVAILABLE"));
  expect(performance.now() - begin).toBeLessThan(3000);
  expect((await failure(queue.ping())).code).toBe("UNAVAILABLE");
  server.thaw();
  await works();
  const left = await drain(queue, source);
  expect(left.map(({ payload }) => payload)).toContain("2");
}, 30_000);

it("closes within two seconds, also when the broker says nothing", async () => {
  await queue.push(name, ["1", "2"], PLAIN);
  await takeOne(queue, name);
  await queue.listen(queueSource(name), () => undefined);
  server.freeze();
  const begin = performance.now();

  await queue.close();

  expect(performance.now() - begin).toBeLessThan(2000);
  server.thaw();
});

it("sends again what is returned, and loses no promise, when connections are cut under load", async () => {
  const load = new Load(queue, name);

  for (let round = 0; round < ROUNDS * 2; round++) {
    const goal = load.settled.length + Math.random() * 100;
    await until("some more are settled", () => load.settled.length > goal);
    await cut();
  }
  await load.finish();

  const unique = new Set(load.settled);
  expect([...load.confirmed].filter((id) => !unique.has(id))).toEqual([]);
  expect(load.settled.length - unique.size).toBe(0);
  expect(load.confirmed.size).toBeGreaterThan(100);
}, 120_000);
