/** Messages that are on the broker twice, and those that only seem to be. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { until } from "@mikcar/devkit";
import { type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import type { Message, QueueBackend } from "../src/backend.ts";
import { drain, failure, Foreigner, openAmqp, PLAIN, queueSource, takeOne, uniqueName } from "./amqp/foreigner.ts";

let server: RabbitmqServer;
let foreigner: Foreigner;
let name: string;
const closing: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startRabbitmq();
}, 300_000);
beforeEach(async () => {
  foreigner = await Foreigner.connect(server.url);
  name = uniqueName();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await foreigner.close();
});
afterAll(() => server?.remove());

async function opened(url = server.url): Promise<QueueBackend> {
  const queue = await openAmqp(url);
  closing.push(() => queue.close());
  return queue;
}

interface Deaf {
  readonly url: string;
  /** How many connections there were. */
  count(): number;
  /** The first connection, on which messages are sent, hears no answers any more. */
  deafen(): void;
}

async function startDeaf(): Promise<Deaf> {
  const far: Socket[] = [];
  const proxy = createServer((near) => {
    const other = connect(Number(new URL(server.url).port), "127.0.0.1");
    far.push(other);
    near.pipe(other).pipe(near);
    for (const [one, two] of [[near, other] as const, [other, near] as const]) {
      one.on("error", () => undefined); // its close says the same
      one.on("close", () => two.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  closing.push(() => proxy.close());
  return {
    url: `amqp://127.0.0.1:${(proxy.address() as AddressInfo).port}`, // it listens on TCP
    count: () => far.length,
    deafen: () => far[0]?.unpipe().pause(),
  };
}

it("gives a message to one holder when it was not confirmed that it is back", async () => {
  const deaf = await startDeaf();
  const queue = await opened(deaf.url);
  const source = queueSource(name);
  const [id = ""] = await queue.push(name, ["1"], PLAIN);
  await queue.take(source, 1, 200);
  deaf.deafen();
  const held: Message[] = [];
  const takeMore = async (): Promise<void> => void held.push(...(await queue.take(source, 10, 60_000)).messages);

  await until("it is back", async () => (await foreigner.ready(name)) === 1);
  await takeMore();
  await until("the connection was given up", () => deaf.count() > 2);
  await until("all is taken", async () => {
    await takeMore();
    return (await foreigner.ready(name)) === 0;
  });

  expect(held.map((message) => message.id)).toEqual([id]);
  expect(await queue.ack(source, [id])).toEqual([true]);
  await queue.close();
  expect(await foreigner.ready(name)).toBe(0);
}, 30_000);

it("sends again with the same id under the same key when it was not confirmed", async () => {
  const deaf = await startDeaf();
  const queue = await opened(deaf.url);
  const source = queueSource(name);
  const sending = { delayMs: 0, idempotencyKey: "key" };
  await queue.push(name, ["0"], PLAIN);
  await drain(queue, source);
  deaf.deafen();
  expect((await failure(queue.push(name, ["1"], sending))).code).toBe("UNAVAILABLE");
  const raw = await foreigner.channel.get(name);
  if (raw === false) throw new Error("it was not stored");
  foreigner.channel.nack(raw, false, true);
  await until("it can be sent", async () => (await failure(queue.push(`${name} other`, ["1"], PLAIN))).code === "none");

  const ids = await queue.push(name, ["1"], sending);

  expect(ids).toEqual([raw.properties.messageId]);
  expect(await queue.push(name, ["1"], sending)).toEqual(ids);
  const { messages } = await queue.take(source, 10, 30_000);
  expect(messages.map(({ id }) => id)).toEqual(ids);
  await queue.ack(source, ids);
  await queue.close();
  expect(await foreigner.ready(name)).toBe(0);
}, 30_000);

it("hands out what another program has sent again after it was acknowledged", async () => {
  const queue = await opened();
  const [id = ""] = await queue.push(name, ["1"], PLAIN);
  const raw = await foreigner.channel.get(name);
  if (raw === false) throw new Error("it is not there");
  foreigner.channel.nack(raw, false, true);
  await until("it can be taken", async () => (await takeOne(queue, name))?.id === id);
  await queue.ack(queueSource(name), [id]);

  await foreigner.send(name, raw.content, raw.properties as object); // with all that is written on it

  expect((await queue.peek(queueSource(name), 1)).map((message) => message.id)).toEqual([id]);
  expect(await drain(queue, queueSource(name))).toMatchObject([{ id }]);
});
