/** Servers that are set up in another way: TLS, few channels, no memory left. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configUrl } from "@mikcar/core";
import { temporaryFolder, until } from "@mikcar/devkit";
import { LOCALHOST, type RabbitmqServer, startRabbitmq } from "@mikcar/devkit/rabbitmq";
import type { Message, QueueBackend } from "../src/backend.ts";
import { open } from "../src/backends/amqp/index.ts";
import { drain, failure, openAmqp, PLAIN, queueSource, takeOne, uniqueName } from "./amqp/foreigner.ts";

const FEW_CHANNELS = 200;

describe("RabbitMQ with TLS and few channels", () => {
  const folder = temporaryFolder();
  const ca = join(folder.path, "ca.pem");
  let server: RabbitmqServer;
  beforeAll(async () => {
    writeFileSync(ca, LOCALHOST.authority);
    server = await startRabbitmq({ tls: LOCALHOST, settings: [`channel_max = ${FEW_CHANNELS}`] });
  }, 300_000);
  afterAll(async () => {
    await server?.remove();
    folder.remove();
  });

  it("is trusted when its authority is named, and else not", async () => {
    const warnings: string[] = [];
    const trusting = await openAmqp(server.url, `&ca=${ca}`);
    const wary = await open(configUrl(`${server.url}?timeout_ms=2000`), (warning) => warnings.push(warning));

    await trusting.push("tls", ["1"], PLAIN);
    expect((await drain(trusting, queueSource("tls"))).map(({ payload }) => payload)).toEqual(["1"]);
    expect((await failure(wary.ping())).code).toBe("UNAVAILABLE");
    expect(warnings.join()).toMatch(/certificate/);
    await Promise.all([trusting.close(), wary.close()]);
  });

  it("serves more queues than a connection may have channels", async () => {
    const queue = await openAmqp(server.url, `&ca=${ca}`);
    const names = Array.from({ length: FEW_CHANNELS * 2 }, () => uniqueName());

    await Promise.all(names.map((name) => queue.push(name, ["1"], PLAIN)));
    const stops = await Promise.all(names.map((name) => queue.listen(queueSource(name), () => undefined)));
    const taken = await Promise.all(names.map((name) => takeSoon(queue, name)));
    const acked = await Promise.all(names.map((name, at) => queue.ack(queueSource(name), [taken[at]?.id ?? ""])));

    expect(taken.every((message) => message?.payload === "1")).toBe(true);
    expect(acked.flat().every(Boolean)).toBe(true);
    for (const stop of stops) stop();
    await queue.close();
  }, 60_000);
});

describe("RabbitMQ without memory", () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await startRabbitmq({ settings: ["vm_memory_high_watermark.absolute = 1MB"] });
  }, 300_000);
  afterAll(() => server?.remove());

  it.each([
    ["another password", (url: URL) => void ([url.username, url.password] = ["guest", "wrong"]), /ACCESS.REFUSED/],
    ["a virtual host that is not there", (url: URL) => void (url.pathname = "/nowhere%25"), /no such virtual host/],
  ])("answers 503 to a URL with %s, and says why in the log", async (_what, change, reason) => {
    const url = new URL(server.url);
    change(url);
    const warnings: string[] = [];
    const queue = await open(configUrl(`${url.href}?timeout_ms=1000`), (warning) => warnings.push(warning));

    expect((await failure(queue.ping())).code).toBe("UNAVAILABLE");
    await until("the log was told", () => reason.test(warnings.join()));
    await queue.close();
  });

  it("answers 503 at once to what was on its way, and keeps its connections", async () => {
    const warnings: string[] = [];
    const queue = await open(configUrl(`${server.url}?timeout_ms=20000`), (warning) => warnings.push(warning));
    const begin = performance.now();

    const refused = await Promise.all([1, 2].map(() => failure(queue.push("full", ["1"], PLAIN))));

    expect(refused.map(({ code }) => code)).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
    expect(performance.now() - begin).toBeLessThan(10_000);
    await queue.ping();
    expect(warnings).toEqual([]);
    await queue.close();
  }, 60_000);

  it("answers 503 to a push, and lets others take", async () => {
    const queue = await openAmqp(server.url);
    const begin = performance.now();

    const refused = await Promise.all([1, 2].map(() => failure(queue.push("full", ["1"], PLAIN))));
    const again = await failure(queue.push("full", ["1"], PLAIN));

    expect([...refused, again].map(({ code }) => code)).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]);
    expect(performance.now() - begin).toBeLessThan(4000);
    expect(await takeOne(queue, "full")).toBeUndefined();
    await queue.close();
  });
});

describe("the URL of a RabbitMQ", () => {
  it.each([
    ["amqp://", "the host is missing"],
    ["amqp://localhost?timeout_ms=0", "timeout_ms"],
    ["amqps://localhost?ca=/no/such/file", "cannot be read"],
    ["amqp://localhost?ca=/etc/hosts", 'unknown parameter "ca"'],
    ["amqp://localhost?max_deliveries=0", "max_deliveries"],
    ["amqp://localhost?heartbeat=1", 'unknown parameter "heartbeat"'],
  ])("%s is refused with a reason", async (url, reason) => {
    expect(await failure(open(configUrl(url)))).toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringContaining(reason),
    });
  });
});

/** While somebody listens a message may be on its way back to the queue for a moment. */
async function takeSoon(queue: QueueBackend, name: string): Promise<Message | undefined> {
  let message: Message | undefined;
  await until("the message is there", async () => (message = await takeOne(queue, name)) !== undefined);
  return message;
}
