/**
 * Queues as Redis streams: `redis://[user[:password]@]host[:6379][/database]`, `rediss://` for TLS; Redis 7 or Valkey.
 * `timeout_ms`: per call, above 0; default 5000. `ca`: a PEM file with whom to trust, for `rediss:`.
 * `max_deliveries`: how often a message is handed out before it is dead; default 5.
 * What is acknowledged survives as Redis itself is set up: `appendfsync always` keeps all, `everysec` may lose a second.
 */

import { randomUUID } from "node:crypto";
import { configError, isMikcarError, type Open, unavailable } from "@mikcar/core";
import {
  Connection,
  readRedisUrl,
  type RedisConfig,
  runScript,
  type Script,
  Subscriber,
  translate,
} from "@mikcar/redis";
import {
  type Counts,
  type DeadMessage,
  EXPIRED,
  type Message,
  type QueueBackend,
  type Sending,
  type Source,
  type StopListening,
  type Taken,
  TAKE_BYTES,
} from "../../backend.ts";
import { IDEMPOTENCY_MS, type Limits, limits } from "../../limits.ts";
import { asJson } from "../../payload.ts";
import { Adoption } from "./adoption.ts";
import { Bells } from "./bells.ts";
import { channelPrefix, groupsKey, idempotencyKey, type Place, placeOf, topicBase } from "./keys.ts";
import { scripts } from "./scripts/index.ts";
import { type Take, Takes } from "./takes.ts";

export const open: Open<QueueBackend> = async (url, warn = () => undefined) => {
  const config = readRedisUrl(url);
  const settings = limits(url);
  url.refuseUnread();
  const [host] = config.hosts;
  if (host === undefined) throw configError(`${url.scheme}: the host is missing; write redis://localhost:6379`);
  const connection = new Connection(config, host, warn);
  return new RedisQueue(connection, new Subscriber(config, host, warn), config, settings);
};

/** How many dead messages one step moves. */
const PORTION = 100;

class RedisQueue implements QueueBackend {
  readonly #connection: Connection;
  readonly #bells: Bells;
  readonly #adoption: Adoption;
  readonly #takes: Takes;
  readonly #channels: string;
  readonly #limits: Limits;
  readonly #send: Connection["send"];

  constructor(connection: Connection, subscriber: Subscriber, config: RedisConfig, settings: Limits) {
    this.#connection = connection;
    this.#send = (words) => connection.send(words);
    this.#channels = channelPrefix(config.client.database ?? 0);
    this.#bells = new Bells(subscriber, this.#send, this.#channels);
    this.#adoption = new Adoption(this.#send);
    this.#takes = new Takes(this.#send, config.timeoutMs);
    this.#limits = settings;
  }

  async ping(): Promise<void> {
    try {
      await this.#connection.send(["PING"]);
    } catch (error) {
      throw translate(error);
    }
  }

  async close(): Promise<void> {
    await this.#bells.close();
    await this.#takes.close();
    await this.#connection.close();
  }

  async push(queue: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const source: Source = { name: queue, group: undefined };
    const { base } = placeOf(source);
    const args = this.#sendingArgs(this.#channels + base, "queue", queue, sending);
    return texts(await this.#run(source, scripts.push, [...args, ...payloads]));
  }

  async publish(topic: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const args = this.#sendingArgs(this.#channels, "topic", topic, sending);
    const keys = [groupsKey(topic), topicBase(topic)];
    return texts(await this.#runOn(topic, scripts.publish, keys, [...args, ...payloads]));
  }

  async take(source: Source, max: number, visibilityMs: number): Promise<Taken> {
    this.#adoption.begin(source);
    const place = placeOf(source);
    const take = await this.#takes.begin(place).catch((error: unknown) => {
      throw translate(error);
    });
    try {
      const reply = list(await this.#runTake(source, place, take, [max, visibilityMs]));
      const [nextIn, now] = reply.slice(-2).map(Number) as [number, number]; // as the script ends
      const messages = messagesOf(reply, reply.length - 2);
      this.#takes.arrived(place, take, now, messages.length > 0);
      return { messages, nextInMs: nextIn < 0 ? undefined : nextIn };
    } catch (error) {
      if (isMikcarError(error) && error.code === "UNAVAILABLE") {
        this.#takes.failed(source, take, visibilityMs, this.#channelOf(source));
      }
      throw error;
    }
  }

  async release(source: Source, ids: readonly string[]): Promise<void> {
    await this.#run(source, scripts.release, [this.#channelOf(source), ...ids]);
  }

  async ack(source: Source, ids: readonly string[]): Promise<readonly boolean[]> {
    return list(await this.#run(source, scripts.ack, ids)).map((result) => result === 1);
  }

  async nack(source: Source, id: string, delayMs: number, reason: string): Promise<boolean> {
    const args = [this.#channelOf(source), id, delayMs, reason, this.#limits.maxDeliveries];
    return (await this.#run(source, scripts.nack, args)) === 1;
  }

  async count(source: Source): Promise<Counts> {
    const reply = list(await this.#run(source, scripts.count, [this.#limits.maxDeliveries, EXPIRED]));
    const [waiting = 0, leased = 0, delayed = 0, dead = 0] = reply.map(Number);
    return { waiting: Math.max(0, waiting), leased, delayed, dead };
  }

  async peek(source: Source, max: number): Promise<readonly Message[]> {
    const args = [this.#limits.maxDeliveries, EXPIRED, max, TAKE_BYTES];
    const reply = list(await this.#run(source, scripts.peek, args));
    return messagesOf(reply, reply.length);
  }

  async purge(source: Source): Promise<number> {
    let till = "";
    for (let count = 0; ;) {
      const args = [this.#limits.maxDeliveries, EXPIRED, till];
      const [removed, end, hasMore] = list(await this.#run(source, scripts.purge, args));
      count += Number(removed);
      till = String(end);
      if (hasMore !== 1) return count;
    }
  }

  async listDead(source: Source, max: number): Promise<readonly DeadMessage[]> {
    const args = [this.#limits.maxDeliveries, EXPIRED, max, TAKE_BYTES];
    const reply = list(await this.#run(source, scripts.listDead, args));
    return Array.from({ length: reply.length / 5 }, (_, index) => {
      const [id, payload, deliveries, reason, entry] = reply.slice(index * 5, index * 5 + 5) as readonly Buffer[];
      return {
        id: String(id),
        payload: asJson(payload as Buffer),
        deliveries: Number(deliveries),
        reason: String(reason),
        diedAt: new Date(Number.parseInt(String(entry), 10)), // entry ids begin with milliseconds since 1970
      };
    });
  }

  async redrive(source: Source, max: number): Promise<number> {
    const { dead } = await this.count(source);
    const all = Math.min(dead, max);
    let done = 0;
    while (done < all) {
      const portion = Math.min(PORTION, all - done);
      const args = [this.#channelOf(source), this.#limits.maxDeliveries, EXPIRED, portion];
      const moved = Number(await this.#run(source, scripts.redrive, args));
      done += moved;
      if (moved < portion) break; // others were faster
    }
    return done;
  }

  listen(source: Source, ring: () => void): Promise<StopListening> {
    return this.#bells.listen(source, ring);
  }

  #channelOf(source: Source): string {
    return this.#channels + placeOf(source).base;
  }

  /** As the scripts `PUSH` and `PUBLISH` read them. */
  #sendingArgs(channel: string, kind: "queue" | "topic", name: string, sending: Sending): string[] {
    const { delayMs, idempotencyKey: key } = sending;
    const keyName = key === undefined ? "" : idempotencyKey(kind, name, key);
    return [channel, String(delayMs), keyName, String(IDEMPOTENCY_MS), randomUUID()];
  }

  #runTake(source: Source, { stream, base }: Place, take: Take, asked: readonly number[]): Promise<unknown> {
    const { name, group } = source;
    const { maxDeliveries } = this.#limits;
    const args = [...asked, maxDeliveries, EXPIRED, TAKE_BYTES, take.notAfter, take.name, take.before].map(String);
    if (group === undefined) return this.#runOn(name, scripts.take, [stream, base], args);
    return this.#runOn(name, scripts.take, [stream, base, groupsKey(name)], [...args, group]);
  }

  #run(source: Source, code: Script, args: readonly (string | number)[]): Promise<unknown> {
    const { stream, base } = placeOf(source);
    return this.#runOn(source.name, code, [stream, base], args.map(String));
  }

  async #runOn(name: string, code: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await runScript(this.#send, code, [String(keys.length), ...keys, ...args]);
    } catch (error) {
      throw translate(error, name);
    }
  }
}

function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unavailable("Redis answered something else than a list");
}

function texts(reply: unknown): readonly string[] {
  return list(reply).map(String);
}

/** id, payload and deliveries of each, as the scripts reply them. */
function messagesOf(reply: readonly unknown[], length: number): readonly Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < length; at += 3) {
    messages.push({
      id: String(reply[at]),
      payload: asJson(reply[at + 1] as Buffer), // Redis replies bytes
      deliveries: Number(reply[at + 2]),
    });
  }
  return messages;
}
