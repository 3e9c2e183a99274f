/**
 * A Redis Cluster: which server has which slots is asked for, and asked again when a server says that one has moved.
 * The client library has a cluster of its own, which waits without end for a server that is there and does not answer.
 */

import { type Host, isMikcarError, unavailable, type Warn } from "@mikcar/core";
import { away, Connection, ErrorReply, type RedisConfig, type Words } from "@mikcar/redis";
import type { Servers } from "./servers.ts";
import { slotOf } from "./slot.ts";

const MOVED = /^(MOVED|ASK) \d+ (\S+):(\d+)$/;
const MOST_REDIRECTIONS = 5;

export class Cluster implements Servers {
  readonly #config: RedisConfig;
  readonly #warn: Warn;
  readonly #connections = new Map<string, Connection>();
  /** By slot; empty until the first answer. */
  #masters: readonly Connection[] = [];
  #refreshing: Promise<void> | undefined;
  #isClosed = false;

  constructor(config: RedisConfig, warn: Warn) {
    this.#config = config;
    this.#warn = warn;
    for (const host of config.hosts) this.#connection(host);
    this.#refreshSoon();
  }

  async send(key: string, words: Words): Promise<unknown> {
    const slot = slotOf(key);
    if (this.#masters[slot] === undefined) await this.#refresh();
    let connection = this.#masters[slot];
    if (connection === undefined) throw away(undefined, `no server of the cluster has the slot ${slot}`);
    let isAsking = false;
    for (let redirections = 0; ; redirections++) {
      try {
        if (isAsking) void connection.send(["ASKING"]).catch(() => undefined); // for the next command, which tells
        return await connection.send(words);
      } catch (error) {
        const redirection = error instanceof ErrorReply ? MOVED.exec(error.message) : null;
        if (redirection === null || redirections === MOST_REDIRECTIONS) throw this.#noticed(error);
        const [, kind, host = "", port] = redirection;
        isAsking = kind === "ASK";
        connection = this.#connection({ host, port: Number(port) });
        if (!isAsking) this.#refreshSoon(); // this call knows where to go
      }
    }
  }

  placeOf(key: string): number {
    return slotOf(key);
  }

  async all(): Promise<readonly Connection[]> {
    if (this.#masters.length === 0) await this.#refresh();
    return [...new Set(this.#masters)];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#refreshing?.catch(() => undefined);
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  /** A server that is away may have been replaced. */
  #noticed(error: unknown): unknown {
    if (isMikcarError(error) && error.code === "UNAVAILABLE") this.#refreshSoon();
    return error;
  }

  /** For the next call. Should it fail, that one tries again. */
  #refreshSoon(): void {
    void this.#refresh().catch(() => undefined);
  }

  #refresh(): Promise<void> {
    if (this.#isClosed) return Promise.reject(unavailable("the store is closed"));
    this.#refreshing ??= this.#ask().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /** Asks all servers at once: the first answer counts. */
  async #ask(): Promise<void> {
    const answers = [...this.#connections.values()].map(async (connection) => {
      const ranges = readRanges(await connection.send(["CLUSTER", "SLOTS"]), connection.address);
      if (ranges.length === 0) throw away(connection.address, "it has no slots of a cluster");
      return ranges;
    });
    const ranges = await Promise.any(answers).catch((error: AggregateError) => {
      throw away(undefined, "no server of the cluster tells which has what", error);
    });
    const masters: Connection[] = [];
    for (const { first, last, host } of ranges) {
      const connection = this.#connection(host);
      for (let slot = first; slot <= last; slot++) masters[slot] = connection;
    }
    this.#masters = masters;
    this.#closeUnused();
  }

  #connection(host: Host): Connection {
    const address = `${host.host}:${host.port ?? 6379}`;
    const known = this.#connections.get(address);
    if (known !== undefined) return known;
    const made = new Connection(this.#config, host, this.#warn);
    this.#connections.set(address, made);
    return made;
  }

  /** The servers of the URL stay, to be asked; of the others, those that have slots. */
  #closeUnused(): void {
    const kept = new Set(this.#config.hosts.map(({ host, port = 6379 }) => `${host}:${port}`));
    const used = new Set(this.#masters);
    for (const [address, connection] of this.#connections) {
      if (kept.has(address) || used.has(connection)) continue;
      this.#connections.delete(address);
      void connection.close();
    }
  }
}

interface Range {
  readonly first: number;
  readonly last: number;
  readonly host: Host;
}

/** `[[first, last, [host, port, …], replicas…], …]`; an empty host is that of the server that was asked. */
function readRanges(reply: unknown, askedAddress: string): Range[] {
  const asked = askedAddress.slice(0, askedAddress.lastIndexOf(":"));
  return (reply as [number, number, [Buffer | null, number]][]).map(([first, last, [host, port]]) => ({
    first,
    last,
    host: { host: String(host ?? "") || asked, port },
  }));
}
