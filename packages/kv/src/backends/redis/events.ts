/**
 * What Redis tells of its keys, for those who watch: https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 * One connection to each server that has keys, for all watches together, while there are any.
 */

import { unsupported } from "@mikcar/core";
import { away, type Client, type Connection, inTime, makeClient, type RedisConfig } from "@mikcar/redis";
import type { Change } from "../../backend.ts";
import type { Glob } from "../../glob.ts";
import { mayHaveMissed, type Watch, Watches } from "../../watch.ts";
import type { Servers } from "./servers.ts";

/** Events by keyword, of strings, of keys in general, expired and evicted. */
const NEEDED = "E$gxe";
const ALL = "g$lshzxetd"; // which `A` stands for
const TYPES: Readonly<Record<string, Change["type"]>> = {
  set: "set",
  setrange: "set",
  append: "set",
  incrby: "set",
  incrbyfloat: "set",
  rename_to: "set",
  copy_to: "set",
  restore: "set",
  del: "del",
  rename_from: "del",
  evicted: "del",
  expired: "expired",
};
/** How soon it is noticed that a cluster has other servers. */
const LOOK_MS = 5000;

export class KeyEvents {
  readonly #servers: Servers;
  readonly #config: RedisConfig;
  readonly #mayConfigure: boolean;
  readonly #watches = new Watches();
  #clients: Promise<readonly Client[]> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param mayConfigure Whether notifications may be turned on where they are off. */
  constructor(servers: Servers, config: RedisConfig, mayConfigure: boolean) {
    this.#servers = servers;
    this.#config = config;
    this.#mayConfigure = mayConfigure;
  }

  async watch(glob: Glob, ending: AbortSignal): Promise<Watch> {
    const clients = (this.#clients ??= this.#begin());
    try {
      await clients;
    } catch (error) {
      if (this.#clients === clients) this.#clients = undefined;
      throw error;
    }
    return this.#watches.open(glob, ending, () => this.#stopUnused());
  }

  close(): void {
    this.#watches.end();
    this.#stop();
  }

  async #begin(): Promise<readonly Client[]> {
    const servers = await this.#servers.all();
    await Promise.all(servers.map((server) => this.#turnOn(server)));
    const clients = servers.map((server) => this.#listen(server));
    try {
      await Promise.all(clients.map(([, connected]) => connected));
    } catch (cause) {
      for (const [client] of clients) client.destroy();
      throw away(undefined, "no connection for its notifications", cause);
    }
    if (this.#config.isCluster) this.#lookForOthers(servers);
    return clients.map(([client]) => client);
  }

  async #turnOn(server: Connection): Promise<void> {
    const flags = await this.#flags(server);
    if ([...NEEDED].every((flag) => flags.includes(flag) || (flags.includes("A") && ALL.includes(flag)))) return;
    if (!this.#mayConfigure) {
      throw unsupported(
        `this Redis does not tell what happens to its keys; set notify-keyspace-events to ${NEEDED} there, or let the sidecar do so with notify=true in KV_URL`,
      );
    }
    await server.send(["CONFIG", "SET", "notify-keyspace-events", flags + NEEDED]);
  }

  /** A Redis that lets nobody ask is believed to be set up by those who say `notify=true`. */
  async #flags(server: Connection): Promise<string> {
    try {
      const reply = await server.send(["CONFIG", "GET", "notify-keyspace-events"]);
      const [, flags] = Array.isArray(reply) ? (reply as unknown[]) : Object.entries(reply as object).flat();
      return String(flags);
    } catch (error) {
      if (this.#mayConfigure && (error as Error).message.startsWith("NOPERM")) return NEEDED;
      throw error;
    }
  }

  #listen(server: Connection): [Client, Promise<unknown>] {
    const client = makeClient(this.#config, server.host);
    const lost = (cause?: unknown): void => {
      if (this.#clients === undefined) return;
      this.#watches.end(mayHaveMissed("the connection to Redis was lost", cause));
      this.#stop();
    };
    client.on("error", lost);
    client.on("end", () => lost());
    const prefix = `__keyevent@${this.#config.client.database ?? 0}__:`;
    const onEvent = (key: string, channel: string): void => {
      const type = TYPES[channel.slice(prefix.length)];
      if (type !== undefined) this.#watches.tell([{ type, key }]);
    };
    const begin = async (): Promise<void> => {
      await client.connect();
      await client.pSubscribe(`${prefix}*`, onEvent);
    };
    return [client, inTime(begin(), this.#config.timeoutMs)];
  }

  #lookForOthers(before: readonly Connection[]): void {
    this.#timer = setInterval(async () => {
      const now = await this.#servers.all().catch(() => before); // a lost one is told by its own connection
      if (now.length === before.length && now.every((server) => before.includes(server))) return;
      this.#watches.end(mayHaveMissed("the cluster has other servers now"));
      this.#stop();
    }, LOOK_MS).unref();
  }

  #stopUnused(): void {
    if (this.#watches.isEmpty) this.#stop();
  }

  #stop(): void {
    const clients = this.#clients;
    this.#clients = undefined;
    clearInterval(this.#timer);
    clients?.then(
      (all) => all.forEach((client) => client.destroy()),
      () => undefined, // which whoever began it was told
    );
  }
}
