/** Who holds which messages, and for how long. */

import { beforeEach, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { QueueBackend } from "../../src/backend.ts";
import { type Bench, drain, failure, openAmqp, PLAIN, queueSource, takeOne, type Foreigner } from "./foreigner.ts";

export function holding(bench: () => Bench): void {
  let url: string;
  let foreigner: Foreigner;
  let queue: QueueBackend;
  let name: string;
  beforeEach(() => {
    ({ url, foreigner, queue, name } = bench());
  });

  it("holds no message for who listens and does not take, or has left", async () => {
    const source = queueSource(name);
    let rings = 0;
    const stop = await queue.listen(source, () => rings++);
    await queue.push(name, ["1", "2"], PLAIN);
    await until("it rings", () => rings > 0);
    await until("both can be taken by others", async () => (await foreigner.ready(name)) === 2);
    await until("it rings again", () => rings > 1);

    stop();

    await until("both are back", async () => (await foreigner.ready(name)) === 2);
    expect((await foreigner.channel.checkQueue(name)).consumerCount).toBe(0);
    const { messages } = await queue.take(source, 2, 30_000);
    expect(messages.map(({ payload, deliveries }) => [payload, deliveries])).toEqual([
      ["1", 1],
      ["2", 1],
    ]);
  });

  it("rings for who listens while an earlier message is still leased", async () => {
    const source = queueSource(name);
    let rings = 0;
    const stop = await queue.listen(source, () => rings++);
    for (const payload of ["1", "2", "3"]) {
      const before = rings;
      await queue.push(name, [payload], PLAIN);
      await until("it rings", () => rings > before);
      expect((await queue.take(source, 1, 30_000)).messages).toMatchObject([{ payload }]);
      expect((await queue.take(source, 1, 30_000)).messages).toEqual([]);
    }
    stop();
  });

  it("gives everything back when it closes, and can be closed twice", async () => {
    const source = queueSource(name);
    await queue.push(name, ["1", "2", "3"], PLAIN);
    const { messages } = await queue.take(source, 2, 30_000);
    await queue.ack(source, [messages[0]?.id ?? ""]);

    await Promise.all([queue.close(), queue.close()]);

    await until("two are back", async () => (await foreigner.ready(name)) === 2);
    expect((await failure(queue.push(name, ["4"], PLAIN))).code).toBe("UNAVAILABLE");
    expect((await failure(takeOne(queue, name))).code).toBe("UNAVAILABLE");
  });

  it("hands out no more than about 16 MiB at a time, in order, and all of it in the end", async () => {
    const source = queueSource(name);
    const payload = (n: number): string => `"${String(n).padEnd(3_000_000, ".")}"`;
    for (let n = 0; n < 20; n++) await queue.push(name, [payload(n)], PLAIN);

    const { messages, nextInMs } = await queue.take(source, 100, 30_000);
    const rest = await drain(queue, source);

    expect([messages.length <= 6, messages.length > 0, nextInMs]).toEqual([true, true, 0]);
    const order = [...messages, ...rest].map((message) => Number.parseInt(message.payload.slice(1, 4), 10));
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  }, 30_000);

  it("refuses a visibility that the broker would not wait for", async () => {
    expect(await failure(queue.take(queueSource(name), 1, 1_500_001))).toMatchObject({
      code: "UNPROCESSABLE",
      message: expect.stringContaining("visibility"),
    });
  });

  it("keeps the leases of two sidecars apart", async () => {
    const other = await openAmqp(url);
    const source = queueSource(name);
    const ids = await queue.push(name, ["1", "2"], PLAIN);
    const [one, two] = [await takeOne(queue, name), await takeOne(other, name)];

    expect(new Set([one?.id, two?.id])).toEqual(new Set(ids));
    expect(await other.ack(source, [one?.id ?? ""])).toEqual([false]);
    expect(await other.nack(source, one?.id ?? "", 0, "not mine")).toBe(false);
    expect(await queue.ack(source, [one?.id ?? "", two?.id ?? ""])).toEqual([true, false]);
    await other.close();
    expect(await drain(queue, source)).toMatchObject([{ id: two?.id }]);
  });

  it("declares a queue once for many pushes and takes that come at the same time", async () => {
    const ids = await Promise.all(Array.from({ length: 200 }, (_, n) => queue.push(name, [String(n)], PLAIN)));
    const topicIds = await Promise.all(Array.from({ length: 200 }, (_, n) => queue.publish(name, [String(n)], PLAIN)));

    expect(new Set(ids.flat()).size).toBe(200);
    expect(await drain(queue, queueSource(name))).toHaveLength(200);
    expect(await drain(queue, { name, group: "default" })).toHaveLength(topicIds.length);
  });
}
