/** What other programs do on the same RabbitMQ, and what they see of us. */

import { beforeEach, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { QueueBackend } from "../../src/backend.ts";
import { type Bench, drain, failure, PLAIN, queueSource, takeOne, uniqueName, type Foreigner } from "./foreigner.ts";

export function foreign(bench: () => Bench): void {
  let foreigner: Foreigner;
  let queue: QueueBackend;
  let name: string;
  beforeEach(() => {
    ({ foreigner, queue, name } = bench());
  });

  it("hands out what other programs have sent, whatever it is, with an id that can be acknowledged", async () => {
    await foreigner.channel.assertQueue(name, { durable: true });
    await foreigner.send(name, '{"n":12345678901234567890}');
    await foreigner.send(name, "plain", { messageId: "theirs", persistent: true });
    await foreigner.send(name, Buffer.from([0xff, 0x00]), { messageId: "line\nbreak" });
    await foreigner.send(name, "", { messageId: "theirs" });

    const { messages } = await queue.take(queueSource(name), 10, 30_000);

    expect(messages.map(({ payload }) => payload)).toEqual([
      '{"n":12345678901234567890}',
      '{"data":"plain"}',
      '{"base64":"/wA="}',
      '{"data":""}',
    ]);
    const ids = messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(4);
    expect(ids[1]).toBe("theirs");
    expect(ids.join()).not.toContain("\n");
    expect(await queue.ack(queueSource(name), ids)).toEqual([true, true, true, true]);
    await queue.close();
    expect(await foreigner.ready(name)).toBe(0);
  });

  it("keeps what another program has written on a message when it is given back, and sends no copies", async () => {
    const copies = uniqueName("copies");
    await foreigner.channel.assertQueue(name, { durable: true });
    await foreigner.channel.assertQueue(copies, { durable: true });
    const headers = { CC: [copies], tenant: "ü", n: 5, list: [1, true] };
    await foreigner.send(name, "{}", {
      headers,
      contentType: "text/x",
      correlationId: "c",
      priority: 3,
      appId: "theirs",
      expiration: 600_000,
    });
    const message = await takeOne(queue, name);

    await queue.nack(queueSource(name), message?.id ?? "", 0, "no");
    const again = await takeOne(queue, name);
    await queue.nack(queueSource(name), again?.id ?? "", 0, "no");
    await until("it is back", async () => (await foreigner.ready(name)) === 1);
    const raw = await foreigner.channel.get(name, { noAck: true });

    expect([again?.id, again?.deliveries]).toEqual([message?.id, 2]);
    expect(await foreigner.ready(copies)).toBe(1);
    if (raw === false) throw new Error("it is not there");
    expect(raw.properties).toMatchObject({ contentType: "text/x", correlationId: "c", priority: 3, appId: "theirs" });
    expect(raw.properties.headers).toMatchObject({ tenant: "ü", n: 5, list: [1, true], "x-mikcar-deliveries": 2 });
    expect(raw.properties.expiration).toBeUndefined();
  });

  it("lets other programs read what was pushed: the queue of that name, and the bytes of the message", async () => {
    const [id] = await queue.push(name, ['{"a": 1.0}'], PLAIN);

    const raw = await foreigner.channel.get(name, { noAck: true });

    if (raw === false) throw new Error("it is not there");
    expect([raw.content.toString(), raw.properties.messageId, raw.properties.deliveryMode]).toEqual([
      '{"a": 1.0}',
      id,
      2,
    ]);
  });

  it.each([
    ["a length limit and a TTL", { durable: true, arguments: { "x-max-length": 100, "x-message-ttl": 600_000 } }],
    ["priorities", { durable: true, arguments: { "x-max-priority": 5 } }],
    ["no durability", { durable: false }],
    ["lazy mode", { durable: true, arguments: { "x-queue-mode": "lazy", "x-dead-letter-exchange": "nowhere" } }],
  ])("uses a queue with %s as it is", async (_what, options) => {
    await foreigner.channel.assertQueue(name, options);

    await queue.push(name, ["1", "2"], PLAIN);

    expect((await queue.peek(queueSource(name), 10)).map(({ payload }) => payload)).toEqual(["1", "2"]);
    expect((await drain(queue, queueSource(name))).map(({ payload }) => payload)).toEqual(["1", "2"]);
  });

  it.each([{}, { "x-max-length": 50, "x-delivery-limit": 20, "x-overflow": "drop-head" }])(
    "uses a quorum queue with %p, and does not peek into it",
    async (more) => {
      await foreigner.channel.assertQueue(name, { durable: true, arguments: { "x-queue-type": "quorum", ...more } });
      await queue.push(name, ["1"], PLAIN);

      const refused = await failure(queue.peek(queueSource(name), 1));
      const first = await takeOne(queue, name);
      await queue.nack(queueSource(name), first?.id ?? "", 0, "no");
      await until("it is back", async () => (await foreigner.ready(name)) === 1);

      expect(refused).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("quorum") });
      expect(await takeOne(queue, name)).toMatchObject({ id: first?.id, deliveries: 2 });
    },
  );

  it("loses no message of a quorum queue with a delivery limit by giving back what it could not send", async () => {
    const args = { "x-queue-type": "quorum", "x-delivery-limit": 2 };
    await foreigner.channel.assertQueue(name, { durable: true, arguments: args });
    const [id = ""] = await queue.push(name, ["1"], PLAIN);

    for (let round = 0; round < 6; round++) {
      let message: Awaited<ReturnType<typeof takeOne>>;
      await until("it can be taken", async () => (message = await takeOne(queue, name)) !== undefined);
      expect(message).toMatchObject({ id, deliveries: 1 });
      await queue.release(queueSource(name), [id]);
    }

    await until("it is back", async () => (await foreigner.ready(name)) === 1);
    expect(await drain(queue, queueSource(name))).toMatchObject([{ id }]);
  });

  it("refuses a stream, and goes on with other queues", async () => {
    await foreigner.channel.assertQueue(name, { durable: true, arguments: { "x-queue-type": "stream" } });
    const other = uniqueName();
    await queue.push(other, ["1"], PLAIN);

    expect((await failure(takeOne(queue, name))).code).toBe("UNSUPPORTED");
    expect(await takeOne(queue, other)).toMatchObject({ payload: "1" });
  });

  it("answers a conflict for a queue that another connection has to itself", async () => {
    await foreigner.channel.assertQueue(name, { durable: true, exclusive: true });

    expect((await failure(takeOne(queue, name))).code).toBe("CONFLICT");
  });

  it.each(["amq.direct", "mikcar.dead.orders", "mikcar.topics", "x".repeat(200), "ü".repeat(100)])(
    "takes %p for the name of a queue and a topic, with dead letters of its own",
    async (label) => {
      const source = queueSource(label);
      const group = { name: label, group: "g".repeat(200) };
      await queue.take(group, 1, 1000);
      await queue.push(label, ["1"], PLAIN);
      await queue.publish(label, ["2"], PLAIN);

      for (const at of [source, group]) {
        for (let round = 0; round < 3; round++) {
          const { messages } = await queue.take(at, 1, 30_000);
          await queue.nack(at, messages[0]?.id ?? "", 0, "no");
        }
      }

      expect((await queue.listDead(source, 10)).map(({ payload }) => payload)).toEqual(["1"]);
      expect((await queue.listDead(group, 10)).map(({ payload }) => payload)).toEqual(["2"]);
      expect(await queue.redrive(source, 10)).toBe(1);
      expect(await queue.redrive(group, 10)).toBe(1);
      expect((await drain(queue, source)).map(({ deliveries }) => deliveries)).toEqual([1]);
      expect(await drain(queue, group)).toHaveLength(1);
      await drain(queue, { name: label, group: "default" });
    },
  );

  it("makes a queue again that somebody has deleted, for a push, a take and who listens", async () => {
    const source = queueSource(name);
    await queue.push(name, ["1"], PLAIN);
    await foreigner.channel.deleteQueue(name);
    await queue.push(name, ["2"], PLAIN);
    expect((await drain(queue, source)).map(({ payload }) => payload)).toEqual(["2"]);

    await foreigner.channel.deleteQueue(name);
    expect(await drain(queue, source)).toEqual([]);

    let rings = 0;
    const stop = await queue.listen(source, () => rings++);
    await foreigner.channel.deleteQueue(name);
    await until("it rings", () => rings > 0);
    await queue.take(source, 1, 1000);
    rings = 0;
    await foreigner.send(name, "3");
    await until("it rings for a message", () => rings > 0);
    expect((await drain(queue, source)).map(({ payload }) => payload)).toEqual(["3"]);
    stop();
  });

  it("keeps the leases of other queues when a queue is deleted", async () => {
    const names = Array.from({ length: 20 }, () => uniqueName());
    for (const each of names) await queue.push(each, ["1"], PLAIN);
    const held = await Promise.all(names.map((each) => takeOne(queue, each)));
    const [deleted = "", ...others] = names;

    await foreigner.channel.deleteQueue(deleted);
    await queue.push(deleted, ["2"], PLAIN);
    await takeOne(queue, deleted);

    const sources = others.map(queueSource);
    const acked = await Promise.all(sources.map((source, at) => queue.ack(source, [held[at + 1]?.id ?? ""])));
    expect(acked.flat()).toEqual(others.map(() => true));
    for (const source of sources) expect(await drain(queue, source)).toEqual([]);
    await queue.close();
    for (const each of others) expect(await foreigner.ready(each)).toBe(0);
  });
}
