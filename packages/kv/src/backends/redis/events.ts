/**
 * Watching keys by the keyspace notifications of Redis: https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 * One more connection to each server, for all who watch, closed when the last of them leaves. What a server tells while
 * that connection is away is lost, so its end is theirs.
 */

import { isUtf8 } from "node:buffer";
import { type Host, unavailable, unsupported } from "@mikcar/core";
import { type Client, ErrorReply, inTime, makeClient, type RedisConfig, translate } from "@mikcar/redis";
import type { Change } from "../../backend.ts";
import type { Glob } from "../../glob.ts";
import { mayHaveMissed, type Watch, Watches } from "../../watch.ts";
import { patternOf } from "./keys.ts";
import type { Servers } from "./servers.ts";

const SET = "set setrange append incrby decrby incrbyfloat setbit restore rename_to copy_to move_to";
const DEL = "del rename_from move_from evicted";
const TYPES: ReadonlyMap<string, Change["type"]> = new Map<string, Change["type"]>([
  ...SET.split(" ").map((event) => [event, "set"] as const),
  ...DEL.split(" ").map((event) => [event, "del"] as const),
  ["expired", "expired"],
]);
/** Per key (K): what becomes of strings ($) and of keys (g), what expires (x) and what is thrown out (e). */
const NEEDED = "K$gxe";
const ALL = "g$lshzxetd"; // which `A` stands for
const SETTING = "notify-keyspace-events";
const HOW = `set ${SETTING} to ${NEEDED} there, or let the sidecar do so with notify=true in KV_URL`;

interface Listening {
  readonly addresses: string;
  readonly clients: readonly Client[];
  readonly timer: NodeJS.Timeout;
  isAnswered: boolean;
}

export class KeyEvents {
  readonly #config: RedisConfig;
  readonly #servers: Servers;
  readonly #mayConfigure: boolean;
  readonly #watches = new Watches();
  #starting: Promise<void> | undefined;
  #listening: Listening | undefined;
  #isClosed = false;

  /** @param mayConfigure Whether notifications may be turned on where they are off. */
  constructor(servers: Servers, config: RedisConfig, mayConfigure: boolean) {
    this.#servers = servers;
    this.#config = config;
    this.#mayConfigure = mayConfigure;
  }

  async watch(glob: Glob, ending: AbortSignal): Promise<Watch> {
    while (this.#listening === undefined) await (this.#starting ??= this.#start());
    const listening = this.#listening;
    const prefix = `__keyspace@${this.#config.client.database ?? 0}__:`;
    const channels = prefix + patternOf(glob);
    const onMessage = (event: Buffer, channel: Buffer): void => {
      const type = TYPES.get(event.toString());
      const name = channel.subarray(prefix.length);
      if (type !== undefined && isUtf8(name)) watch.tell([{ type, key: name.toString() }]);
    };
    const watch = this.#watches.open(glob, ending, () => {
      if (this.#watches.isEmpty) return this.#stop();
      for (const client of listening.clients)
        void client.pUnsubscribe(channels, onMessage, true).catch(() => undefined);
    });
    if (ending.aborted) return watch;
    try {
      await Promise.all(
        listening.clients.map(async (client) => {
          await client.pSubscribe(channels, onMessage, true); // does not wait when another watch has just asked for it
          await client.ping();
        }),
      );
    } catch (error) {
      watch.end();
      throw translate(error);
    }
    return watch;
  }

  close(): void {
    this.#isClosed = true;
    this.#watches.end();
    this.#stop();
  }

  async #start(): Promise<void> {
    const clients: Client[] = [];
    try {
      if (this.#isClosed) throw unavailable("the store is closed");
      const servers = await this.#servers.all();
      const made = await Promise.allSettled(servers.map(async ({ host }) => clients.push(await this.#connect(host))));
      for (const result of made) if (result.status === "rejected") throw result.reason;
      if (this.#isClosed) throw unavailable("the store is closed");
      const listening: Listening = {
        addresses: addressesOf(servers),
        clients,
        timer: setInterval(() => this.#check(listening), this.#config.timeoutMs).unref(),
        isAnswered: true,
      };
      const onLoss = (error?: Error): void => this.#lose(listening, "the connection was lost", error);
      for (const client of clients) client.on("error", onLoss).on("end", onLoss);
      this.#listening = listening;
    } catch (error) {
      for (const client of clients) client.destroy();
      throw translate(error);
    } finally {
      this.#starting = undefined;
    }
  }

  async #connect(host: Host): Promise<Client> {
    const client = makeClient(this.#config, host);
    client.on("error", () => undefined); // what waits for it fails, and tells
    try {
      await inTime(client.connect(), this.#config.timeoutMs);
      await this.#demandNotifications(client);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** @throws UNSUPPORTED when they are off and we are not to turn them on, or cannot know. */
  async #demandNotifications(client: Client): Promise<void> {
    const flags = (await this.#flags(client)).replace("A", ALL);
    const missing = Array.from(NEEDED).filter((flag) => !flags.includes(flag));
    if (missing.length === 0) return;
    if (!this.#mayConfigure) throw unsupported(`watching needs keyspace notifications, which are off; ${HOW}`);
    const setting = client.sendCommand(["CONFIG", "SET", SETTING, flags + missing.join("")]);
    await inTime(setting, this.#config.timeoutMs).catch((error: Error) => {
      throw unsupported(
        `watching needs keyspace notifications, and Redis lets nobody set them (${error.message}); ${HOW}`,
      );
    });
  }

  /** A Redis that lets nobody ask is believed to be set up by those who say `notify=true`. */
  async #flags(client: Client): Promise<string> {
    try {
      const reply = await inTime(client.sendCommand(["CONFIG", "GET", SETTING]), this.#config.timeoutMs);
      return String(Object.values(reply as object).at(-1)); // its name and its value
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      if (this.#mayConfigure) return NEEDED;
      throw unsupported(
        `watching needs keyspace notifications, and Redis lets nobody ask for them (${error.message}); ${HOW}`,
      );
    }
  }

  /** A server that answers nothing tells nothing; one that came to a cluster is not listened to. */
  #check(listening: Listening): void {
    if (!listening.isAnswered) return this.#lose(listening, `no answer within ${this.#config.timeoutMs} ms`);
    listening.isAnswered = false;
    void Promise.all([this.#servers.all(), ...listening.clients.map((client) => client.ping())]).then(
      ([servers]) => {
        listening.isAnswered = true;
        if (addressesOf(servers) !== listening.addresses)
          this.#lose(listening, "the servers of the cluster are others now");
      },
      (error: unknown) => this.#lose(listening, "the connection was lost", error),
    );
  }

  #lose(listening: Listening, reason: string, cause?: unknown): void {
    if (listening !== this.#listening) return; // ended on purpose
    this.#watches.end(mayHaveMissed(reason, cause));
    this.#stop();
  }

  #stop(): void {
    const listening = this.#listening;
    this.#listening = undefined;
    if (listening === undefined) return;
    clearInterval(listening.timer);
    for (const client of listening.clients) client.destroy();
  }
}

function addressesOf(servers: readonly { readonly address: string }[]): string {
  return servers
    .map(({ address }) => address)
    .sort()
    .join();
}
