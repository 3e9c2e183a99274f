/** Connections, and calls on them that can be cancelled. */

import { isMikcarError, timeout, unavailable } from "@mikcar/core";
import pg, { type PoolClient, type PoolConfig } from "pg";
import type { CallOptions } from "../../backend.ts";
import { cancelStatement } from "./cancel.ts";
import { RunError } from "./exchange.ts";
import { Catalog, Session } from "./session.ts";
import { translate } from "./translate.ts";
import type { PostgresConfig } from "./url.ts";

/** A server that does not react to a cancel request within this time is left: the connection is cut. */
const CANCEL_MS = 2000;
const NO_TLS = /does not support SSL/;

/** A connection in use. It goes back to the pool with `release`, once. */
export interface Lease {
  readonly session: Session;
  /** Cancels what runs now, or what comes next; it then fails, and the connection is closed at `release`. */
  cancel(): void;
  /** The connection is closed at `release`: something stays on it that nobody else may meet. */
  spoil(): void;
  release(): void;
}

export class Connections {
  readonly catalog: Catalog = new Catalog();
  #pool: pg.Pool;
  #config: PoolConfig;
  #isTlsOptional: boolean;
  #isClosed = false;
  readonly #sessions = new WeakMap<PoolClient, Session>();

  constructor({ pool, isTlsOptional }: PostgresConfig) {
    this.#config = pool;
    this.#isTlsOptional = isTlsOptional;
    this.#pool = newPool(pool);
  }

  /** @throws UNAVAILABLE when the server does not answer, or all connections stay busy for `connect_timeout`. */
  async lease(): Promise<Lease> {
    if (this.#isClosed) throw unavailable("the backend is closed");
    const client = await this.#connect();
    const session = this.#sessions.get(client) ?? new Session(client, this.catalog);
    this.#sessions.set(client, session);
    let isBroken = false;
    let isCancelled = false;
    return {
      session,
      cancel: () => {
        if (isCancelled) return;
        isCancelled = true;
        isBroken = true; // the request may come late, and must not hit another call
        void this.#cancel(client);
      },
      spoil: () => {
        isBroken = true;
      },
      release: () => client.release(isBroken || session.isLost || client.getTransactionStatus() !== "I"),
    };
  }

  /**
   * Runs `work` on a connection. When the signal is aborted, the time is up or `work` asks for it, its statement is cancelled on the server.
   * @param isSpoiling The connection is not used again.
   * @throws The signal's reason, TIMEOUT, or what `work` failed with.
   */
  async call<T>(
    { signal, timeoutMs }: CallOptions,
    work: (session: Session, cancel: (reason: Error) => void) => Promise<T>,
    isSpoiling = false,
  ): Promise<T> {
    signal.throwIfAborted();
    const startedAt = performance.now();
    const lease = await this.lease();
    if (isSpoiling) lease.spoil();
    let reason: unknown;
    const stop = (why: unknown): void => {
      reason ??= why;
      lease.cancel();
    };
    const onAbort = (): void => stop(signal.reason);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => stop(outOfTime(timeoutMs)), Math.max(0, timeoutMs - (performance.now() - startedAt)));
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      return await work(lease.session, stop);
    } catch (error) {
      throw reason ?? (error instanceof RunError ? error : translate(error));
    } finally {
      signal.removeEventListener("abort", onAbort);
      clearTimeout(timer);
      lease.release();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pool.end();
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      if (!this.#isTlsOptional || !NO_TLS.test(String(error))) throw isMikcarError(error) ? error : translate(error);
      this.#isTlsOptional = false;
      this.#config = { ...this.#config, ssl: false };
      const old = this.#pool;
      this.#pool = newPool(this.#config);
      await old.end();
      return this.#connect();
    }
  }

  async #cancel(client: PoolClient): Promise<void> {
    await cancelStatement(client, this.#config);
    setTimeout(() => destroy(client), CANCEL_MS).unref();
  }
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
