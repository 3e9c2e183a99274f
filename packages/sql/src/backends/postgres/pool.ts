/** Connections, and calls on them that can be cancelled. */

import { type Gauge, timeout, unavailable } from "@mikcar/core";
import pg, { type PoolClient, type PoolConfig } from "pg";
import type { CallOptions } from "../../backend.ts";
import { cancelStatement } from "./cancel.ts";
import { RunError } from "./exchange.ts";
import { Slots } from "../../slots.ts";
import { Catalog, Session, word } from "./session.ts";
import { translate } from "./translate.ts";
import type { PostgresConfig } from "./url.ts";

/** A server that does not react to a cancel request within this time is left: the connection is cut. */
const CANCEL_MS = 2000;
const MAX_WAITING_STREAMS = 1000;
const NO_TLS = /does not support SSL/;

/** A connection in use. It goes back to the pool with `release`, once; a spoiled one is closed then. */
export interface Lease {
  readonly session: Session;
  /** Cancels what runs now, or what comes next; it then fails, and the connection is spoiled. */
  cancel(): void;
  /** Rolls back a transaction that is open. */
  settle(): Promise<void>;
  release(): void;
}

export class Connections {
  readonly catalog: Catalog = new Catalog();
  #pool: pg.Pool;
  #config: PoolConfig;
  readonly #isTlsOptional: boolean;
  #isClosed = false;
  readonly #sessions = new WeakMap<PoolClient, Session>();
  /** Readers that are slow hold no more than half of the connections. */
  readonly #streams: Slots;

  constructor({ pool, isTlsOptional }: PostgresConfig) {
    this.#config = pool;
    this.#isTlsOptional = isTlsOptional;
    this.#pool = newPool(pool);
    this.#streams = new Slots(Math.max(1, Math.floor((pool.max ?? 2) / 2)), MAX_WAITING_STREAMS);
  }

  /** @throws UNAVAILABLE when the server does not answer, or all connections stay busy for `connect_timeout`. */
  async lease(signal?: AbortSignal): Promise<Lease> {
    if (this.#isClosed) throw unavailable("the backend is closed");
    signal?.throwIfAborted();
    const client = await this.#connect();
    const session = this.#sessions.get(client) ?? new Session(client, this.catalog);
    this.#sessions.set(client, session);
    let isCancelled = false;
    const settle = async (): Promise<void> => {
      if (session.isSpoiled || client.getTransactionStatus() === "I") return;
      await session.run([word("ROLLBACK")]).catch(() => {
        session.isSpoiled = true; // what cannot be rolled back ends with its connection
      });
    };
    const lease: Lease = {
      session,
      cancel: () => {
        if (isCancelled) return;
        isCancelled = true;
        session.isSpoiled = true; // the request may come late, and must not hit another call
        void this.#cancel(client);
      },
      settle,
      release: () => {
        if (session.isSpoiled || client.getTransactionStatus() === "I") client.release(session.isSpoiled);
        else void settle().then(() => client.release(session.isSpoiled));
      },
    };
    if (signal?.aborted !== true) return lease;
    lease.release();
    throw signal.reason;
  }

  /** As `lease`, when fewer streams than half of the connections are open. */
  leaseForStream(signal: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const held = (): Promise<void> =>
        new Promise((end, fail) => {
          this.lease(signal).then((lease) => {
            const release = (): void => {
              lease.release();
              end();
            };
            resolve({ ...lease, release });
          }, fail);
        });
      this.#streams.run(signal, held).catch(reject);
    });
  }

  /**
   * Runs `work` on a connection. When the signal is aborted, the time is up or `work` asks for it, its statement is
   * cancelled on the server.
   * @param isSpoiling The connection is not used again.
   * @throws The signal's reason, TIMEOUT, or what `work` failed with.
   */
  async call<T>(
    { signal, timeoutMs }: CallOptions,
    work: (session: Session, cancel: (reason: Error) => void) => Promise<T>,
    isSpoiling = false,
  ): Promise<T> {
    let lease: Lease | undefined;
    let reason: unknown;
    const givenUp = Promise.withResolvers<never>();
    givenUp.promise.catch(() => undefined); // mostly nobody waits for it
    const stop = (why: unknown): void => {
      reason ??= why;
      if (lease === undefined) givenUp.reject(why);
      else lease.cancel();
    };
    const onAbort = (): void => stop(signal.reason);
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => stop(outOfTime(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", onAbort);
    try {
      const mustWait = this.#pool.idleCount === 0;
      const coming = this.lease(signal);
      lease = await (mustWait ? firstOf(coming, givenUp.promise) : coming);
      if (isSpoiling) lease.session.isSpoiled = true;
      return await work(lease.session, stop);
    } catch (error) {
      throw reason ?? (error instanceof RunError ? error : translate(error));
    } finally {
      signal.removeEventListener("abort", onAbort);
      clearTimeout(timer);
      lease?.release();
    }
  }

  /** One round trip; on a connection of its own when all are busy. */
  gauges(): Gauge[] {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    const help = "Connections to the database in use and idle, and calls that wait for one.";
    return Object.entries({ used: totalCount - idleCount, idle: idleCount, waiting: waitingCount }).map(
      ([state, value]) => ({ name: "mikcar_sql_pool_connections", help, labels: { state }, value }),
    );
  }

  async ping(): Promise<void> {
    if (this.#isClosed) throw unavailable("the backend is closed");
    const { idleCount, totalCount } = this.#pool;
    if (idleCount > 0 || totalCount < (this.#config.max ?? 1)) {
      await this.call({ signal: new AbortController().signal }, (session) => session.run([word("SELECT 1")]));
      return;
    }
    const client = new pg.Client(this.#config);
    client.on("error", () => undefined); // the query fails with it
    try {
      await client.connect();
      await client.query("SELECT 1");
    } catch (error) {
      throw translate(error);
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pool.end();
  }

  async #connect(): Promise<PoolClient> {
    const pool = this.#pool;
    try {
      return await pool.connect();
    } catch (error) {
      if (this.#isTlsOptional && NO_TLS.test(String(error)) && pool === this.#pool) this.#leaveTls();
      if (pool === this.#pool) throw translate(error);
      return this.#connect(); // somebody has found out meanwhile that there is no TLS
    }
  }

  /** The server has none, and none is asked for. */
  #leaveTls(): void {
    this.#config = { ...this.#config, ssl: false };
    const old = this.#pool;
    this.#pool = newPool(this.#config);
    old.end().catch(() => undefined); // it has no connection that works
  }

  async #cancel(client: PoolClient): Promise<void> {
    const timer = setTimeout(() => destroy(client), CANCEL_MS).unref();
    await cancelStatement(client, this.#config, CANCEL_MS);
    client.once("end", () => clearTimeout(timer));
  }
}

/** A lease, unless its caller gives up before; one that comes later goes back at once. */
function firstOf(coming: Promise<Lease>, givenUp: Promise<never>): Promise<Lease> {
  return Promise.race([coming, givenUp]).catch((error: unknown) => {
    coming.then((late) => late.release()).catch(() => undefined); // it failed itself: that is the error, or too late
    throw error;
  });
}

function newPool(config: PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  pool.on("error", () => undefined); // of an idle connection: the pool has dropped it, and the next call opens another
  return pool;
}

/** @param timeoutMs As the caller gave it. */
export function outOfTime(timeoutMs: number): Error {
  return timeout(`the statement did not end within its timeout_ms of ${timeoutMs}, and was cancelled`);
}

/** Cuts a connection whose server does not answer. Harmless on one that is closed. */
function destroy(client: PoolClient): void {
  const { connection } = client as unknown as { readonly connection: { readonly stream: { destroy(): void } } };
  connection.stream.destroy(); // the typings of a PoolClient hide its connection
}
