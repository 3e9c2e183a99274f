/**
 * Queues on RabbitMQ: `amqp://[user[:password]@]host[:5672][/vhost]`, `amqps://` for TLS.
 * `timeout_ms`: per call, above 0; default 5000. `ca`: a PEM file with whom to trust, for `amqps:`.
 * `max_deliveries`: how often a message is handed out before it is dead; default 5.
 * A queue is the durable queue of its name. A lease is an unacknowledged delivery: it belongs to this process, and ends
 * early when that ends. A delay is up to 1 % or 10 ms longer than asked for.
 */

import { type Open, unprocessable, unsupported, type Warn } from "@mikcar/core";
import {
  type Counts,
  DEFAULT_GROUP,
  type DeadMessage,
  type Message,
  type QueueBackend,
  type Sending,
  type Source,
  type StopListening,
  type Taken,
} from "../../backend.ts";
import { limits } from "../../limits.ts";
import { Bells } from "./bells.ts";
import { Clerks } from "./clerks.ts";
import { Custody, queueAddress } from "./custody.ts";
import { Desks } from "./desks.ts";
import { Idempotency } from "./idempotency.ts";
import { Layout, type QueueType } from "./layout.ts";
import { newLetter, readLetter } from "./letter.ts";
import { Link } from "./link.ts";
import { countOf, deadMessage, isThere, look, purge, redrive, shownMessage } from "./looking.ts";
import { deadOf, queueOf, TOPICS } from "./names.ts";
import { Outbox, type Parcel } from "./outbox.ts";
import { Taking } from "./taking.ts";
import { isAbsent, isUnimplemented, translate } from "./translate.ts";
import { type AmqpConfig, readAmqpUrl } from "./url.ts";

export const open: Open<QueueBackend> = async (url, warn = () => undefined) => {
  const config = readAmqpUrl(url);
  const { maxDeliveries } = limits(url);
  url.refuseUnread();
  return new AmqpQueue(config, warn, maxDeliveries);
};

/** A broker closes a channel whose delivery is not acknowledged for 30 minutes. */
const LONGEST_VISIBILITY_MS = 1_500_000;
/** How many things are declared at a time: the broker syncs its disk for each. */
const DECLARING = 8;
const LOOKING = 8;
/** How long the end may take. */
const CLOSE_MS = 1000;

class AmqpQueue implements QueueBackend {
  /** RabbitMQ stops reading a connection that publishes when it is short of memory: the others must not suffer. */
  readonly #sending: Link;
  readonly #taking: Link;
  readonly #outbox: Outbox;
  readonly #clerks: Clerks;
  readonly #layout: Layout;
  readonly #desks: Desks;
  readonly #bells: Bells;
  readonly #custody: Custody;
  readonly #taker: Taking;
  readonly #idempotency = new Idempotency();
  #closing: Promise<void> | undefined;

  constructor(config: AmqpConfig, warn: Warn, maxDeliveries: number) {
    const unsaid = (): void => undefined; // the other one says the same
    this.#sending = new Link(config, unsaid, () => this.#layout.forgetExchanges());
    this.#taking = new Link(config, warn, () => this.#bells.ringAll(() => true));
    this.#outbox = new Outbox(this.#sending);
    this.#clerks = new Clerks(this.#taking, LOOKING);
    this.#layout = new Layout(new Clerks(this.#taking, DECLARING));
    this.#desks = new Desks(this.#taking, () => this.#bells.ringAll((desk) => desk?.isClosed === true));
    this.#bells = new Bells(this.#desks);
    this.#custody = new Custody(this.#outbox, this.#layout, maxDeliveries);
    this.#taker = new Taking(this.#desks, this.#bells, this.#custody);
  }

  ping(): Promise<void> {
    return translated(async () => {
      await this.#sending.connection();
      await this.#clerks.run(({ channel, call }) => call(channel.checkExchange("amq.direct"))); // which is always there
    });
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  push(queue: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const source = { name: queue, group: undefined };
    return this.#idempotency.once(`queue\n${queue}`, sending.idempotencyKey, payloads.length, (ids) =>
      translated(() => this.#send("queue", source, payloads, ids, sending)),
    );
  }

  publish(topic: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const source = { name: topic, group: DEFAULT_GROUP };
    return this.#idempotency.once(`topic\n${topic}`, sending.idempotencyKey, payloads.length, (ids) =>
      translated(() => this.#send("topic", source, payloads, ids, sending)),
    );
  }

  async take(source: Source, max: number, visibilityMs: number): Promise<Taken> {
    if (visibilityMs > LONGEST_VISIBILITY_MS)
      throw unprocessable(`visibility: on RabbitMQ at most ${LONGEST_VISIBILITY_MS / 1000} s`, {
        details: [{ field: "visibility", message: `at most ${LONGEST_VISIBILITY_MS / 1000} s on RabbitMQ` }],
      });
    return this.#onSource(source, (queue, type) => this.#taker.take(queue, type, max, visibilityMs));
  }

  async release(source: Source, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#custody.release(queueOf(source), id);
  }

  async ack(source: Source, ids: readonly string[]): Promise<readonly boolean[]> {
    const queue = queueOf(source);
    return ids.map((id) => this.#custody.ack(queue, id));
  }

  nack(source: Source, id: string, delayMs: number, reason: string): Promise<boolean> {
    return translated(() => this.#custody.nack(queueOf(source), id, delayMs, reason));
  }

  count(source: Source): Promise<Counts> {
    const queue = queueOf(source);
    return translated(async () => {
      const [ready, dead] = await Promise.all([countOf(this.#clerks, queue), countOf(this.#clerks, deadOf(queue))]);
      return { waiting: ready + this.#bells.inHand(queue), leased: undefined, delayed: undefined, dead };
    });
  }

  peek(source: Source, max: number): Promise<readonly Message[]> {
    const queue = queueOf(source);
    return translated(async () => {
      if ((await countOf(this.#clerks, queue)) === 0) return [];
      if ((await this.#make(source)) === "quorum")
        throw unsupported(`"${source.name}" is a quorum queue: to look at its messages would move and count them`);
      const letters = (await look(this.#clerks, queue, max)).map((message) => ({
        message,
        letter: readLetter(message),
      }));
      return letters
        .filter(({ letter, message }) => !this.#custody.isSettled(queue, letter, message))
        .map(({ message, letter }) => shownMessage(message, letter));
    });
  }

  purge(source: Source): Promise<number> {
    const queue = queueOf(source);
    return translated(async () => {
      if (!(await isThere(this.#clerks, queue))) return 0;
      await this.#make(source); // a stream would cost everybody the connection
      return purge(this.#clerks, queue);
    });
  }

  listDead(source: Source, max: number): Promise<readonly DeadMessage[]> {
    return translated(async () => (await look(this.#clerks, deadOf(queueOf(source)), max)).map(deadMessage));
  }

  redrive(source: Source, max: number): Promise<number> {
    const queue = queueOf(source);
    const send = (parcels: readonly Parcel[]): ReturnType<Outbox["sendEach"]> =>
      this.#outbox.sendEach(queueAddress(queue), parcels, () => this.#make(source));
    return translated(() => redrive(this.#clerks, deadOf(queue), max, send));
  }

  listen(source: Source, ring: () => void): Promise<StopListening> {
    return this.#onSource(source, (queue) => this.#bells.listen(queue, ring));
  }

  /** @param source Whose queue must be there. @param ids One for each payload. */
  async #send(
    to: "queue" | "topic",
    source: Source,
    payloads: readonly string[],
    ids: readonly string[],
    { delayMs }: Sending,
  ): Promise<void> {
    const parcels = payloads.map((payload, at) => ({
      content: Buffer.from(payload),
      options: newLetter(ids[at] ?? ""), // there is one for each
    }));
    const routingKey = to === "topic" ? source.name : queueOf(source);
    const direct = to === "topic" ? TOPICS : "";
    try {
      // No return tells that these are not there. What is due is dropped then, so a delay is worth a call.
      if (delayMs > 0) await this.#make(source);
      else if (to === "topic") await this.#layout.source(source);
      const exchange = delayMs === 0 ? direct : await this.#layout.delay(to, delayMs);
      await this.#outbox.send({ exchange, routingKey }, parcels, async () => {
        await this.#make(source);
        this.#layout.forgetDelay(to, delayMs);
        if (delayMs > 0) await this.#layout.delay(to, delayMs);
      });
    } catch (error) {
      this.#layout.forget(queueOf(source)); // or an exchange that was deleted would be missed for ever
      this.#layout.forgetDelay(to, delayMs);
      throw error;
    }
  }

  #make(source: Source): Promise<QueueType> {
    this.#layout.forget(queueOf(source));
    return this.#layout.source(source);
  }

  /** Once more when somebody has deleted the queue, or put another in its place. */
  #onSource<T>(source: Source, work: (queue: string, type: QueueType) => Promise<T>): Promise<T> {
    return translated(async () => {
      const queue = queueOf(source);
      try {
        return await work(queue, await this.#layout.source(source));
      } catch (error) {
        if (!isAbsent(error) && !isUnimplemented(error)) throw error;
      }
      return work(queue, await this.#make(source));
    });
  }

  async #close(): Promise<void> {
    this.#bells.close();
    this.#custody.close();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    await Promise.race([this.#desks.close(), late]);
    clearTimeout(timer);
    await Promise.all([this.#sending.close(), this.#taking.close()]);
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(error);
  }
}
