/** Channels of one server, over one connection that is there while somebody listens. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Host, isMikcarError, unavailable, type Warn } from "@mikcar/core";
import { type Client, makeClient } from "./client.ts";
import { inTime } from "./deadline.ts";
import { away } from "./translate.ts";
import type { RedisConfig } from "./url.ts";

/** A connection that nobody needs is kept a while: they come and go. */
const LINGER_MS = 5000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

interface Channel {
  readonly listeners: Set<() => void>;
  /** Since when nobody listens. */
  idleSince: number | undefined;
  /** The server sends its messages. */
  isConfirmed: boolean;
}

export class Subscriber {
  readonly #config: RedisConfig;
  readonly #host: Host;
  readonly #warn: Warn;
  readonly #lingerMs: number;
  readonly #channels = new Map<string, Channel>();
  #client: Promise<Client> | undefined;
  /** The one that is connected. */
  #ready: Client | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param lingerMs How long a channel, and the connection, are kept when nobody listens. */
  constructor(config: RedisConfig, host: Host, warn: Warn, lingerMs = LINGER_MS) {
    this.#lingerMs = lingerMs;
    this.#config = config;
    this.#host = host;
    this.#warn = warn;
  }

  /**
   * Calls `listener` for every message, and when the connection is lost or made anew: then some may have been missed.
   * Resolves when the server has confirmed it. @throws UNAVAILABLE. @returns Ends it.
   */
  async listen(name: string, listener: () => void): Promise<() => void> {
    if (this.#isClosed) throw unavailable("the connection is closed");
    const known = this.#channels.get(name);
    const channel: Channel = known ?? { listeners: new Set(), idleSince: undefined, isConfirmed: false };
    channel.listeners.add(listener);
    channel.idleSince = undefined;
    this.#channels.set(name, channel);
    this.#sweeper ??= setInterval(() => void this.#sweep(), this.#lingerMs).unref();
    const stop = (): void => {
      channel.listeners.delete(listener);
      if (channel.listeners.size === 0) channel.idleSince = performance.now();
    };
    try {
      const client = await this.#connected();
      if (known === undefined || !known.isConfirmed) await this.#subscribe(client, [name]);
    } catch (error) {
      stop();
      throw isMikcarError(error) ? error : away(undefined, "no subscription", error);
    }
    return stop;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    this.#channels.clear();
    this.#ready = undefined;
    (await this.#client?.catch(() => undefined))?.destroy();
  }

  #connected(): Promise<Client> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = makeClient(this.#config, this.#host);
    client.on("error", () => this.#forget(client));
    client.on("end", () => this.#forget(client));
    try {
      await inTime(client.connect(), this.#config.timeoutMs);
      if (!client.isReady) throw new Error("it was lost at once");
    } catch (error) {
      client.destroy();
      this.#client = undefined;
      throw away(undefined, "no connection", error);
    }
    this.#ready = client;
    if (this.#isClosed) client.destroy();
    return client;
  }

  /** Once for each connection, whichever way its end is told. */
  #forget(client: Client): void {
    if (this.#ready !== client) return;
    this.#ready = undefined;
    client.destroy();
    void this.#lost();
  }

  async #subscribe(client: Client, names: readonly string[]): Promise<void> {
    await inTime(client.subscribe([...names], this.#onMessage), this.#config.timeoutMs);
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel !== undefined) channel.isConfirmed = true;
    }
  }

  readonly #onMessage = (_message: string, name: string): void => {
    for (const listener of this.#channels.get(name)?.listeners ?? []) listener();
  };

  /** Makes the connection anew as long as somebody listens. All are told of the loss and of the return. */
  async #lost(): Promise<void> {
    this.#client = undefined;
    for (const channel of this.#channels.values()) channel.isConfirmed = false;
    this.#ringAll();
    for (
      let pause = FIRST_PAUSE_MS;
      !this.#isClosed && this.#channels.size > 0;
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
    ) {
      try {
        const client = await this.#connected();
        await this.#subscribe(client, [...this.#channels.keys()]);
        return this.#ringAll();
      } catch (error) {
        if (this.#client === undefined) this.#warn((error as Error).message); // ours, of `#connect`
        await sleep(pause * (0.75 + Math.random() / 2), undefined, { ref: false });
      }
    }
  }

  #ringAll(): void {
    for (const { listeners } of this.#channels.values()) for (const listener of listeners) listener();
  }

  /** Gives up channels that nobody has listened to for a while, and with the last one the connection. */
  async #sweep(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    const before = performance.now() - this.#lingerMs;
    const idle = [...this.#channels].filter(([, { idleSince = Infinity }]) => idleSince < before).map(([name]) => name);
    for (const name of idle) this.#channels.delete(name);
    if (this.#channels.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      this.#client = undefined;
      this.#ready = undefined;
      client?.destroy();
    } else if (idle.length > 0) {
      // With its listener: without one, the client takes a channel that is listened to again meanwhile for confirmed.
      await client?.unsubscribe(idle, this.#onMessage).catch(() => undefined); // with a lost connection they are gone
    }
  }
}
