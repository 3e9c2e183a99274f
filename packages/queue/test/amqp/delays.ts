/** Messages that come later. */

import { beforeEach, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { QueueBackend } from "../../src/backend.ts";
import { roundedDelay } from "../../src/backends/amqp/names.ts";
import { type Bench, drain, failure, PLAIN, queueSource, type Foreigner } from "./foreigner.ts";

export function delays(bench: () => Bench): void {
  let foreigner: Foreigner;
  let queue: QueueBackend;
  let name: string;
  beforeEach(() => {
    ({ foreigner, queue, name } = bench());
  });

  it("keeps delayed messages in a queue for each delay, which outlives them", async () => {
    await queue.push(name, ["1"], { ...PLAIN, delayMs: 3_600_000 });

    const ttlMs = roundedDelay(3_600_000);
    const delay = `mikcar.delay.queue.${ttlMs}`;
    const args = { "x-message-ttl": ttlMs, "x-expires": ttlMs + 3_600_000, "x-dead-letter-exchange": "" };
    const { messageCount } = await foreigner.channel.assertQueue(delay, { durable: true, arguments: args });
    expect(messageCount).toBeGreaterThanOrEqual(1);
    await foreigner.channel.deleteQueue(delay);

    const [id] = await queue.push(name, ["2"], { ...PLAIN, delayMs: 20 });
    await until("it is due", async () => (await foreigner.ready(name)) === 1);
    expect(await drain(queue, queueSource(name))).toMatchObject([{ id, payload: "2" }]);
  });

  it("sends a delayed message again when somebody has deleted its delay", async () => {
    await queue.push(name, ["1"], { ...PLAIN, delayMs: 30 });
    await until("it is due", async () => (await foreigner.ready(name)) === 1);
    await foreigner.channel.deleteQueue("mikcar.delay.queue.30");

    const pushed = queue.push(name, ["2"], { ...PLAIN, delayMs: 30 });

    // Its exchange goes with it, and then the broker refuses what is sent there.
    if ((await failure(pushed)).code !== "none") await queue.push(name, ["2"], { ...PLAIN, delayMs: 30 });
    await until("it is due", async () => (await foreigner.ready(name)) === 2);
    await drain(queue, queueSource(name));
  });

  it("gives a delayed publish to every group, and a delayed nack to its own", async () => {
    const groups = ["default", "a", "ü/ b"].map((group) => ({ name, group }));
    for (const group of groups) await queue.take(group, 1, 1000);

    const [id = ""] = await queue.publish(name, ["1"], { ...PLAIN, delayMs: 50 });

    for (const group of groups) {
      await until("it is due", async () => (await queue.count(group)).waiting === 1);
      await queue.take(group, 1, 30_000);
    }
    const [first = { name, group: "" }, ...others] = groups;
    await queue.nack(first, id, 50, "later");
    await until("it is due", async () => (await queue.count(first)).waiting === 1);
    for (const other of others) expect((await queue.count(other)).waiting).toBe(0);
    expect(await drain(queue, first)).toMatchObject([{ id, deliveries: 2 }]);
  });
}
