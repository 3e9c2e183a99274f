/**
 * KV over Redis or Valkey, for the URLs of `readRedisUrl`. Values are Redis strings, which other programs may share; keys of
 * other types are refused. A call is one round trip. It needs Redis 6.2 or newer, or Valkey.
 */

import { type Open, unavailable, unsupported, type Warn } from "@mikcar/core";
import type { Change, KeyPage, KvBackend, Result, Transaction } from "../../backend.ts";
import type { Glob } from "../../glob.ts";
import { decodeCursor, encodeCursor } from "../../listing.ts";
import { Connection, readRedisUrl, type RedisConfig, translate, type Words } from "@mikcar/redis";
import { Cluster } from "./cluster.ts";
import { KeyEvents } from "./events.ts";
import { matchingKeys } from "./keys.ts";
import { getMany } from "./many.ts";
import { run, TRANSACT } from "./script.ts";
import type { Servers } from "./servers.ts";
import { Single } from "./single.ts";
import { keysOf, readResults, scriptWords } from "./transaction.ts";

export const open: Open<KvBackend> = async (url, warn = () => undefined) => {
  const config = readRedisUrl(url);
  const mayConfigure = url.flag("notify");
  url.refuseUnread();
  const servers = connect(config, warn);
  return new RedisKv(servers, new KeyEvents(servers, config, mayConfigure));
};

function connect(config: RedisConfig, warn: Warn): Servers {
  const [host = { host: "localhost", port: undefined }] = config.hosts;
  return config.isCluster ? new Cluster(config, warn) : new Single(new Connection(config, host, warn));
}

/** How many keys of a listing are given at a time. */
const PORTION = 1000;

class RedisKv implements KvBackend {
  readonly #servers: Servers;
  readonly #events: KeyEvents;
  #openWrites = 0;
  #onWritten: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(servers: Servers, events: KeyEvents) {
    this.#servers = servers;
    this.#events = events;
  }

  async ping(): Promise<void> {
    const servers = await this.#servers.all();
    await Promise.all(servers.map((server) => server.send(["PING"]))).catch(rethrow);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#end());
  }

  async get(key: string): Promise<Buffer | undefined> {
    const value = (await this.#send(key, ["GET", key])) as Buffer | null; // what GET replies
    return value ?? undefined;
  }

  getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    return getMany(this.#servers, keys).catch(rethrow);
  }

  async exists(key: string): Promise<boolean> {
    return (await this.#send(key, ["EXISTS", key])) === 1;
  }

  async expiresAt(key: string): Promise<number | undefined> {
    const left = (await this.#send(key, ["PTTL", key])) as number; // -1: no expiry, -2: no key
    if (left < 0) return left === -1 ? Infinity : undefined;
    return Date.now() + left; // by the clock of whoever reads it, which the server's need not agree with
  }

  async transact(transaction: Transaction): Promise<readonly Result[]> {
    if (this.#closing !== undefined) throw unavailable("the store is closed");
    const keys = keysOf(transaction);
    const [first] = keys;
    if (first === undefined) return this.ping().then(() => []);
    const place = this.#servers.placeOf(first);
    if (keys.some((key) => this.#servers.placeOf(key) !== place)) throw severalPlaces(keys.length);
    this.#openWrites++;
    try {
      const reply = await run(this.#servers, first, TRANSACT, scriptWords(keys, transaction)).catch(rethrow);
      return readResults(reply, keys, transaction);
    } finally {
      if (--this.#openWrites === 0) this.#onWritten?.();
    }
  }

  async *listKeys(glob: Glob): AsyncGenerator<readonly string[]> {
    const keys = await matchingKeys(this.#servers, glob).catch(rethrow);
    for (let at = 0; at < keys.length; at += PORTION) yield keys.slice(at, at + PORTION);
  }

  async pageKeys(glob: Glob, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, glob.prefix);
    const keys = await matchingKeys(this.#servers, glob, after, limit + 1).catch(rethrow);
    if (keys.length <= limit) return { keys, cursor: undefined };
    return { keys: keys.slice(0, limit), cursor: encodeCursor(keys[limit - 1] ?? "") };
  }

  watch(glob: Glob, ending: AbortSignal): Promise<AsyncIterable<readonly Change[]>> {
    if (this.#closing !== undefined) return Promise.reject(unavailable("the store is closed"));
    return this.#events.watch(glob, ending).catch(rethrow);
  }

  /** Writes may end first: one of them may have to send its script yet. */
  async #end(): Promise<void> {
    this.#events.close();
    if (this.#openWrites > 0) await new Promise<void>((resolve) => (this.#onWritten = resolve));
    await this.#servers.close();
  }

  #send(key: string, words: Words): Promise<unknown> {
    return this.#servers.send(key, words).catch((error: unknown) => {
      throw translate(error, key);
    });
  }
}

function rethrow(error: unknown): never {
  throw translate(error);
}

function severalPlaces(count: number): Error {
  return unsupported(
    `the ${count} keys are in several slots of the Redis Cluster, which cannot change them as one step; give them a common part in braces, such as {user:42}:name and {user:42}:age, or make one call for each`,
  );
}
