/** What one queue does to the others of the same sidecar. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import type { QueueBackend } from "../src/backend.ts";
import { open } from "../src/backends/amqp/index.ts";
import { failure, Foreigner, PLAIN, queueSource, takeOne, uniqueName } from "./amqp/foreigner.ts";

/** More than may have a channel of their own. */
const MANY = 300;

let server: RabbitmqServer;
let foreigner: Foreigner;
let queue: QueueBackend;
let name: string;
beforeAll(async () => {
  server = await startRabbitmq({ settings: ["channel_max = 200"] });
}, 300_000);
beforeEach(async () => {
  foreigner = await Foreigner.connect(server.url);
  queue = await openPatient(server.url);
  name = uniqueName();
});
afterEach(async () => {
  await queue.close();
  await foreigner.close();
});
afterAll(() => server?.remove());

function openPatient(url: string): Promise<QueueBackend> {
  return open(configUrl(`${url}?max_deliveries=3&timeout_ms=5000`));
}

/** A message in each of many queues, all leased. */
async function holdMany(): Promise<() => Promise<void>> {
  const names = Array.from({ length: MANY }, () => uniqueName("held"));
  await Promise.all(names.map((each) => queue.push(each, ["1"], PLAIN)));
  const held = await Promise.all(names.map((each) => takeOne(queue, each, 120_000)));
  return async () => {
    const ready = await Promise.all(names.map((each) => foreigner.ready(each)));
    const acked = await Promise.all(names.map((each, at) => queue.ack(queueSource(each), [held[at]?.id ?? ""])));
    expect(ready.filter((count) => count > 0)).toEqual([]);
    expect(acked.flat()).toEqual(names.map(() => true));
  };
}

const some = ["a", "b", "c"] as const;
const names = (): readonly string[] => some.map((each) => `${name} ${each}`);
const every = <T>(work: (each: string) => Promise<T>): Promise<T[]> => Promise.all(names().map(work));

it("keeps the leases of all others when the broker refuses to give a queue's messages", async () => {
  const args = { "x-queue-type": "quorum", "x-single-active-consumer": true };
  await every((each) => foreigner.channel.assertQueue(each, { durable: true, arguments: args }));
  await every((each) => queue.push(each, ["1"], PLAIN));
  const check = await holdMany();

  for (let round = 0; round < 3; round++) {
    const refused = await every((each) => failure(takeOne(queue, each)));
    expect(refused.map(({ code }) => code)).toEqual(some.map(() => "UNSUPPORTED"));
  }

  await check();
}, 60_000);

it("keeps all leases when others have a queue to themselves while somebody waits, and waits again once they left", async () => {
  await queue.push(name, ["1"], PLAIN);
  const own = await takeOne(queue, name, 120_000);
  const check = await holdMany();
  await every((each) => foreigner.channel.assertQueue(each, { durable: true }));
  const consuming = [...names(), name].map((each, at) =>
    foreigner.channel.consume(each, () => undefined, { exclusive: true, consumerTag: `all ${at}` }),
  );
  await Promise.all(consuming);

  for (let round = 0; round < 3; round++) {
    const refused = await every((each) => failure(queue.listen(queueSource(each), () => undefined)));
    expect(refused.map(({ code }) => code)).toEqual(some.map(() => "CONFLICT"));
  }
  expect((await failure(queue.listen(queueSource(name), () => undefined))).code).toBe("CONFLICT");

  await check();
  expect(await foreigner.ready(name)).toBe(0);
  expect(await queue.ack(queueSource(name), [own?.id ?? ""])).toEqual([true]);
  await Promise.all(consuming.map((_, at) => foreigner.channel.cancel(`all ${at}`)));
  const listen = (): Promise<unknown> => queue.listen(queueSource(name), () => undefined);
  await until("it may listen again", async () => (await failure(listen())).code === "none");
}, 60_000);

it("refuses to empty a stream, and keeps all leases", async () => {
  await foreigner.channel.assertQueue(name, { durable: true, arguments: { "x-queue-type": "stream" } });
  await foreigner.send(name, "1");
  const check = await holdMany();

  expect((await failure(queue.purge(queueSource(name)))).code).toBe("UNSUPPORTED");

  await check();
}, 60_000);

it("finds out that a queue was made again as a stream or a quorum queue", async () => {
  const quorum = queueSource(`${name} quorum`);
  await queue.push(quorum.name, ["1"], PLAIN);
  await queue.take(quorum, 1, 30_000);
  await foreigner.channel.deleteQueue(quorum.name);
  await foreigner.channel.assertQueue(quorum.name, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await foreigner.send(quorum.name, "2");
  await until("it is there", async () => (await queue.count(quorum)).waiting === 1);
  const source = queueSource(`${name} later`);
  await queue.push(source.name, ["1"], PLAIN);
  await queue.take(source, 1, 30_000);
  await foreigner.channel.deleteQueue(source.name);
  await foreigner.channel.assertQueue(source.name, { durable: true, arguments: { "x-queue-type": "stream" } });

  const peeked = await failure(queue.peek(quorum, 1));
  const refused = [await failure(queue.take(source, 1, 1000)), await failure(queue.take(source, 1, 1000))];

  expect([peeked, ...refused].map(({ code }) => code)).toEqual(["UNSUPPORTED", "UNSUPPORTED", "UNSUPPORTED"]);
});

it("keeps leases, pushes and takes of other queues when one does not answer", async () => {
  const warnings: string[] = [];
  await queue.close();
  queue = await open(configUrl(`${server.url}?timeout_ms=1000`), (warning) => warnings.push(warning));
  const stuck = uniqueName("stuck");
  const process = `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${stuck}">>)), P = amqqueue:get_pid(Q)`;
  for (const each of [stuck, name]) await queue.push(each, ["1"], PLAIN);
  const own = await takeOne(queue, name, 120_000);
  await takeOne(queue, stuck);
  await server.control("eval", `${process}, sys:suspend(P).`);
  let isOver = false;
  const others: string[] = [];
  const use = async (): Promise<void> => {
    while (!isOver) {
      others.push((await failure(queue.push(`${name} other`, ["1"], PLAIN))).code);
      others.push((await failure(takeOne(queue, `${name} other`))).code);
    }
  };

  const using = use();
  const calls = [queue.push(stuck, ["2"], PLAIN), takeOne(queue, stuck), queue.count(queueSource(stuck))];
  const codes = (await Promise.all(calls.map(failure))).map(({ code }) => code);
  const again = (await failure(takeOne(queue, stuck))).code;
  isOver = true;
  await using;

  expect([...codes, again]).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]);
  expect(others.filter((code) => code !== "none")).toEqual([]);
  expect(await foreigner.ready(name)).toBe(0);
  expect(await queue.ack(queueSource(name), [own?.id ?? ""])).toEqual([true]);
  expect(warnings).toEqual([]);
  await server.control("eval", `${process}, sys:resume(P).`);
  await until("it works again", async () => (await failure(queue.push(stuck, ["3"], PLAIN))).code === "none");
}, 60_000);

it("looks about once a second for a queue that others have to themselves, and not all the time", async () => {
  const source = queueSource(name);
  let rings = 0;
  let isTaking = false;
  const stop = await queue.listen(source, () => {
    rings++;
    if (isTaking) queue.take(source, 1, 1000).catch(() => undefined); // it may say that the queue is taken
  });
  await queue.push(name, ["1"], PLAIN);
  const consumers = async (): Promise<number> => (await foreigner.channel.checkQueue(name)).consumerCount;
  await until("its consumer has given up", async () => rings > 0 && (await consumers()) === 0);
  await foreigner.channel.consume(name, () => undefined, { exclusive: true, noAck: true });
  [rings, isTaking] = [0, true];
  const begin = performance.now();

  await until("it has looked some times", () => rings >= 3);

  expect(performance.now() - begin).toBeGreaterThan(1900);
  stop();
});

it("answers BAD_GATEWAY for a queue that its user may not read, and keeps the leases of others", async () => {
  await server.control("add_user", "app", "app");
  await server.control("set_permissions", "app", "^(held|mikcar).*", ".*", "^(held|mikcar).*");
  await every((each) => queue.push(each, ["1"], PLAIN));
  await queue.close();
  queue = await openPatient(server.url.replace("amqp://", "amqp://app:app@"));
  const check = await holdMany();

  const refused = await every((each) => failure(takeOne(queue, each)));

  expect(refused.map(({ code }) => code)).toEqual(some.map(() => "BAD_GATEWAY"));
  await check();
}, 60_000);
