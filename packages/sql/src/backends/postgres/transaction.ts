/** A transaction that a script drives: BEGIN travels with its first statement. */

import type { Affected, BeginOptions, Rows, Transaction } from "../../backend.ts";
import { resultTooLarge, sqlError } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import type { Connections, Lease } from "./pool.ts";
import { RunError } from "./exchange.ts";
import { affectedOf, type Outcome, type Request } from "./session.ts";

/** Any number that nothing else locks: transactions that run alone, over all sidecars of a database. */
const LANE = "7021938744016155";

/** Postgres looks for deadlocks after a second only; whoever has waited this long is better off alone. */
const IMPATIENT = word("SET LOCAL lock_timeout = 100");

export class PostgresTransaction implements Transaction {
  readonly #connections: Connections;
  readonly #options: BeginOptions;
  #lease: Lease | undefined;
  #state: "new" | "open" | "failed" | "over" = "new";
  #running: Promise<unknown> | undefined;

  constructor(connections: Connections, options: BeginOptions) {
    this.#connections = connections;
    this.#options = options;
  }

  async query(statement: Statement): Promise<Rows> {
    return this.#track(async () => {
      const outcome = await this.#run(statement);
      if (outcome.result.sizeBytes > this.#maxBytes) throw resultTooLarge(this.#maxBytes);
      return this.#session.rows(outcome, "number");
    });
  }

  async execute(statement: Statement): Promise<Affected> {
    return this.#track(async () => affectedOf(await this.#run(statement)));
  }

  async commit(): Promise<void> {
    if (this.#state === "new") this.#state = "over";
    if (this.#state === "over") return;
    await this.#track(async () => {
      const [done] = await this.#session.run([word("COMMIT")]);
      if (done?.result.tag !== "COMMIT") throw sqlError("the transaction was rolled back", { sqlstate: "25P02" });
    });
    await this.#end();
  }

  async rollback(): Promise<void> {
    if (this.#state === "over") return;
    if (this.#running !== undefined) {
      this.#lease?.cancel();
      await this.#running;
    } else if (this.#lease?.session.client.getTransactionStatus() !== "I") {
      // What cannot be rolled back is rolled back by the end of its connection.
      await this.#lease?.session.run([word("ROLLBACK")]).catch(() => this.#lease?.cancel());
    }
    await this.#end();
  }

  get #maxBytes(): number {
    return this.#options.maxBytes ?? Infinity;
  }

  get #session(): Lease["session"] {
    if (this.#lease === undefined) throw new TypeError("the transaction has no connection");
    return this.#lease.session;
  }

  async #run({ sql, params, kind, isTemporary }: Statement): Promise<Outcome> {
    const isFirst = this.#state === "new";
    if (isFirst) await this.#open();
    if (isTemporary) this.#lease?.spoil();
    const onRow = (result: Outcome["result"]): void => {
      if (result.sizeBytes > this.#maxBytes) this.#lease?.cancel();
    };
    const { isolation, exclusive } = this.#options;
    const begin = isFirst ? [word(`BEGIN ISOLATION LEVEL ${isolation.toUpperCase()}`)] : [];
    if (isFirst && !exclusive) begin.push(IMPATIENT);
    // The types of an array are asked for in a round trip of its own, which would have to be inside the transaction.
    const isApart = isFirst && params.some(Array.isArray);
    if (isApart) await this.#session.run(begin);
    this.#state = "open";
    const outcomes = await this.#session.run([...(isApart ? [] : begin), { sql, params, kind }], onRow);
    return outcomes.at(-1) as Outcome; // one for each request
  }

  async #open(): Promise<void> {
    this.#options.signal.throwIfAborted();
    this.#lease = await this.#connections.lease();
    this.#state = "open";
    if (this.#options.exclusive)
      await this.#session.run([{ ...word(`SELECT pg_advisory_lock(${LANE})`), kind: "SELECT" }]);
    this.#state = "new";
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === "failed" || this.#state === "over") {
      throw sqlError("the transaction is over: a statement before this one failed", { sqlstate: "25P02" });
    }
    const promise = work();
    this.#running = promise.catch(() => undefined);
    try {
      return await promise;
    } catch (error) {
      this.#state = "failed";
      throw meaning(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #end(): Promise<void> {
    this.#state = "over";
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    if (this.#options.exclusive) {
      const unlock = { ...word(`SELECT pg_advisory_unlock(${LANE})`), kind: "SELECT" };
      await lease.session.run([unlock]).catch(() => lease.cancel()); // the end of the connection unlocks as well
    }
    lease.release();
  }
}

/** A plan older than the schema is as good as a lost race: the script can be run again. */
function meaning(error: unknown): unknown {
  if (!(error instanceof RunError)) return error;
  if (!error.isStale) return error.error;
  return sqlError("the schema has changed under a statement", { sqlstate: "40001" }, error);
}

/** Words for the server that are no statement of a caller. */
export function word(sql: string): Request {
  return { sql, params: [], kind: sql.slice(0, (sql.indexOf(" ") + 1 || sql.length + 1) - 1) };
}
