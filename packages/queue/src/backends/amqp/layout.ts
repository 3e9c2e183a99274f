/** What is declared on the broker: each thing on its first use by this process, and again when it turns out to be gone. */

import { isMikcarError, unsupported } from "@mikcar/core";
import type { Source } from "../../backend.ts";
import type { Clerk, Clerks } from "./clerks.ts";
import { deadOf, delayName, isOfGroup, queueOf, roundedDelay, TOPICS } from "./names.ts";
import { replyCode } from "./translate.ts";

export type QueueType = "classic" | "quorum";

/** How many names are known as declared; a name that was dropped is declared once more. */
const KNOWN = 50_000;
/** How long a queue of delayed messages outlives the last one that can be in it, and how long we trust in its being there. */
const SPARE_MS = 60 * 60 * 1000;
const TRUSTED_MS = SPARE_MS / 2;
const INEQUIVALENT = /inequivalent arg '([^']*)'.*current is(?: the value)? '([^']*)'(?: of type '([^']*)')?/;
/** More arguments than there are. */
const MOST_ARGUMENTS = 32;

export class Layout {
  readonly #clerks: Clerks;
  readonly #known = new Map<string, { readonly type: Promise<QueueType>; isDone: boolean }>();
  readonly #delays = new Map<string, { readonly declaredAt: number; readonly done: Promise<unknown> }>();

  constructor(clerks: Clerks) {
    this.#clerks = clerks;
  }

  /** Makes the queue of a source when it is not there. @returns What it is; one that others have made stays as it is. */
  source(source: Source): Promise<QueueType> {
    const queue = queueOf(source);
    if (source.group === undefined) return this.queue(queue);
    return this.#once(queue, async () => {
      const type = await this.#declare(queue);
      await this.#clerks.run(async ({ channel, call }) => {
        await call(channel.assertExchange(TOPICS, "direct", { durable: true }));
        await call(channel.bindQueue(queue, TOPICS, source.name));
      });
      return type;
    });
  }

  queue(queue: string): Promise<QueueType> {
    return this.#once(queue, () => this.#declare(queue));
  }

  dead(queue: string): Promise<QueueType> {
    return this.queue(deadOf(queue));
  }

  /**
   * The exchange to publish to so that a message reaches its routing key, a queue or a topic, after the delay.
   * One queue for each delay, as a queue's messages leave it in order; https://www.rabbitmq.com/docs/ttl
   */
  async delay(to: "queue" | "topic", delayMs: number): Promise<string> {
    const ttlMs = roundedDelay(delayMs);
    const name = delayName(to, ttlMs);
    const known = this.#delays.get(name);
    if (known !== undefined && known.declaredAt + TRUSTED_MS > performance.now()) {
      await known.done;
      return name;
    }
    const done = this.#clerks.run((clerk) => declareDelay(clerk, name, to, ttlMs));
    this.#delays.set(name, { declaredAt: performance.now(), done });
    done.catch(() => this.#delays.delete(name));
    await done;
    return name;
  }

  /** It has turned out not to be there: the next call declares it, unless that is under way. */
  forget(queue: string): void {
    if (this.#known.get(queue)?.isDone === true) this.#known.delete(queue);
  }

  /** As `forget`. */
  forgetDelay(to: "queue" | "topic", delayMs: number): void {
    this.#delays.delete(delayName(to, roundedDelay(delayMs)));
  }

  /**
   * There may be another broker behind the address now. That a queue is gone, who uses it is told; with exchanges the
   * broker closes the channel on which everybody sends.
   */
  forgetExchanges(): void {
    this.#delays.clear();
    for (const queue of this.#known.keys()) if (isOfGroup(queue)) this.forget(queue);
  }

  #once(queue: string, declare: () => Promise<QueueType>): Promise<QueueType> {
    const known = this.#known.get(queue);
    if (known !== undefined) return known.type;
    const declaring = { type: declare(), isDone: false };
    this.#known.set(queue, declaring);
    declaring.type.then(
      () => (declaring.isDone = true),
      () => this.#known.delete(queue),
    );
    const [oldest = ""] = this.#known.keys();
    if (this.#known.size > KNOWN) this.#known.delete(oldest);
    return declaring.type;
  }

  /** A durable classic queue; or, of one that is there with other arguments, its type. */
  async #declare(queue: string): Promise<QueueType> {
    const args: Record<string, unknown> = {};
    for (let count = 0; count < MOST_ARGUMENTS; count++) {
      try {
        await this.#clerks.run(({ channel, call }) =>
          call(channel.assertQueue(queue, { durable: true, arguments: args })),
        );
        return "classic";
      } catch (error) {
        const code = isMikcarError(error) ? undefined : replyCode(error);
        if (code === 403) return this.#inspect(queue, error);
        if (code !== 406) throw error;
        const [, name = "", value = "", type] = INEQUIVALENT.exec((error as Error).message) ?? [];
        if (name === "x-queue-type" && value === "quorum") return "quorum";
        if (name === "x-queue-type" && value === "stream") throw unsupported(`"${queue}" is a stream, not a queue`);
        if (!name.startsWith("x-") || name in args) return "classic"; // a property of another kind differs
        args[name] = typed(value, type);
      }
    }
    return "classic";
  }

  /** We may not make queues; perhaps it is there. */
  async #inspect(queue: string, refusal: unknown): Promise<QueueType> {
    try {
      await this.#clerks.run(({ channel, call }) => call(channel.checkQueue(queue)));
      return "classic";
    } catch {
      throw refusal;
    }
  }
}

/** The value of an argument, as the broker has written it into its complaint. */
function typed(value: string, type: string | undefined): unknown {
  if (type === "bool") return value === "true";
  return type === "longstr" || type === undefined ? value : Number(value);
}

async function declareDelay(
  { channel, call }: Clerk,
  name: string,
  to: "queue" | "topic",
  ttlMs: number,
): Promise<void> {
  if (to === "topic") await call(channel.assertExchange(TOPICS, "direct", { durable: true }));
  await call(channel.assertExchange(name, "fanout", { durable: true, autoDelete: true }));
  const args = {
    "x-message-ttl": ttlMs,
    "x-expires": ttlMs + SPARE_MS,
    "x-dead-letter-exchange": to === "topic" ? TOPICS : "",
  };
  await call(channel.assertQueue(name, { durable: true, arguments: args }));
  await call(channel.bindQueue(name, name, ""));
}
