/** RabbitMQ as another program uses it, and what tests ask of a backend on it. */

import { configUrl } from "@mikcar/core";
import amqplib, { type Channel, type ChannelModel } from "amqplib";
import type { Message, QueueBackend, Source } from "../../src/backend.ts";
import { open } from "../../src/backends/amqp/index.ts";

export const PLAIN = { delayMs: 0, idempotencyKey: undefined };

const run = Date.now().toString(36);
let count = 0;

/** A name that no other test uses. */
export function uniqueName(label = "queue"): string {
  return `${label} ${run}/${count++}`;
}

export function queueSource(name: string): Source {
  return { name, group: undefined };
}

export function openAmqp(url: string, more = ""): Promise<QueueBackend> {
  return open(configUrl(`${url}?max_deliveries=3&timeout_ms=1000${more}`));
}

export class Foreigner {
  readonly #model: ChannelModel;
  channel: Channel;

  private constructor(model: ChannelModel, channel: Channel) {
    this.#model = model;
    this.channel = channel;
  }

  static async connect(url: string): Promise<Foreigner> {
    const model = await amqplib.connect(url, { noDelay: true });
    model.on("error", () => undefined); // the broker may be killed
    const channel = await model.createConfirmChannel();
    channel.on("error", () => undefined); // the call tells
    return new Foreigner(model, channel);
  }

  async send(queue: string, body: string | Buffer, options: amqplib.Options.Publish = {}): Promise<void> {
    this.channel.sendToQueue(queue, Buffer.from(body), options);
    await (this.channel as amqplib.ConfirmChannel).waitForConfirms(); // it was made as one
  }

  async ready(queue: string): Promise<number> {
    return (await this.channel.checkQueue(queue)).messageCount;
  }

  async close(): Promise<void> {
    await this.#model.close().catch(() => undefined); // or it was lost
  }
}

export async function takeOne(queue: QueueBackend, name: string, visibilityMs = 30_000): Promise<Message | undefined> {
  const { messages } = await queue.take(queueSource(name), 1, visibilityMs);
  return messages[0];
}

/** What is left, each acknowledged. */
export async function drain(queue: QueueBackend, source: Source): Promise<readonly Message[]> {
  const all: Message[] = [];
  for (;;) {
    const { messages } = await queue.take(source, 100, 30_000);
    if (messages.length === 0) return all;
    all.push(...messages);
    await queue.ack(
      source,
      messages.map(({ id }) => id),
    );
  }
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  return call.then(
    () => ({ code: "none", message: "it did not fail" }),
    (error: { code: string; message: string }) => error,
  );
}

/** What a test of one broker works on. */
export interface Bench {
  readonly url: string;
  readonly foreigner: Foreigner;
  readonly queue: QueueBackend;
  /** That no other test uses. */
  readonly name: string;
}
