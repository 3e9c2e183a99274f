/** A transaction that a script drives: BEGIN travels with its first statement. */

import type { MikcarError } from "@mikcar/core";
import type { Affected, BeginOptions, Rows, Transaction } from "../../backend.ts";
import { resultTooLarge, sqlError, staleError } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import type { Connections, Lease } from "./pool.ts";
import { RunError, type StepResult } from "./exchange.ts";
import { translate } from "./translate.ts";
import { affectedOf, beginning, type Outcome, word } from "./session.ts";

/** Any number that nothing else locks: transactions that run alone, over all sidecars of a database. */
const LANE = "7021938744016155";
const LOCK = word(`SELECT pg_advisory_lock(${LANE})`);
const UNLOCK = word(`SELECT pg_advisory_unlock(${LANE})`);

/** Postgres looks for deadlocks after a second only; whoever has waited this long is better off alone. */
const IMPATIENT = word("SET LOCAL lock_timeout = 100");

export class PostgresTransaction implements Transaction {
  readonly #connections: Connections;
  readonly #options: BeginOptions;
  #lease: Lease | undefined;
  #hasBegun = false;
  #isOver = false;
  /** Why every further statement fails. */
  #failure: unknown;
  #isTooLarge = false;
  #running: Promise<unknown> | undefined;

  constructor(connections: Connections, options: BeginOptions) {
    this.#connections = connections;
    this.#options = options;
  }

  query(statement: Statement): Promise<Rows> {
    return this.#track(async (lease) => {
      const outcome = await this.#run(lease, statement, false);
      return lease.session.rows(outcome, "number", this.#maxBytes);
    });
  }

  execute(statement: Statement): Promise<Affected> {
    return this.#track(async (lease) => affectedOf(await this.#run(lease, statement, true)));
  }

  async commit(): Promise<void> {
    if (this.#hasBegun && !this.#isOver) {
      await this.#track(async ({ session }) => {
        const [done] = await session.run([word("COMMIT")]);
        if (done?.result.tag !== "COMMIT") throw sqlError("the transaction was rolled back", { sqlstate: "25P02" });
      });
    }
    await this.#end();
  }

  async rollback(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#lease === undefined) return; // one that is still waited for goes back as soon as it comes
    if (this.#running !== undefined) {
      this.#lease.cancel();
      await this.#running;
    }
    await this.#end();
  }

  get #maxBytes(): number {
    return this.#options.maxBytes ?? Infinity;
  }

  async #run(lease: Lease, statement: Statement, onlyCount: boolean): Promise<Outcome> {
    const { sql, params, kind, isRead, isSpoiling } = statement;
    const { isolation, exclusive, readOnly } = this.#options;
    if (isSpoiling) lease.session.isSpoiled = true;
    const onRow = (result: StepResult): void => {
      this.#isTooLarge = !onlyCount && result.sizeBytes > this.#maxBytes;
      if (onlyCount || this.#isTooLarge) result.rows.length = 0;
      if (this.#isTooLarge) lease.cancel();
    };
    const begin = this.#hasBegun ? [] : [...beginning(isolation, readOnly)];
    if (!this.#hasBegun && !exclusive) begin.push(IMPATIENT);
    // The types of an array are asked for in a round trip of its own, which has to be inside the transaction.
    const isApart = !this.#hasBegun && params.some(Array.isArray);
    this.#hasBegun = true;
    if (isApart) await lease.session.run(begin);
    const outcomes = await lease.session.run([...(isApart ? [] : begin), { sql, params, kind, isRead }], onRow);
    return outcomes.at(-1) as Outcome; // one for each request
  }

  async #open(): Promise<Lease> {
    const lease = await this.#connections.lease(this.#options.signal);
    if (this.#isOver) lease.release();
    else this.#lease = lease;
    if (this.#options.exclusive && !this.#isOver) await lease.session.run([LOCK]);
    return lease;
  }

  async #track<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const lease = this.#lease ?? (await this.#open());
      if (this.#isOver || this.#failure !== undefined) {
        throw sqlError("the transaction is over, or a statement before this one failed", { sqlstate: "25P02" });
      }
      return work(lease);
    };
    const promise = run();
    this.#running = promise.catch(() => undefined);
    try {
      return await promise;
    } catch (error) {
      this.#failure = this.#isTooLarge ? resultTooLarge(this.#maxBytes) : meaning(error);
      throw this.#failure;
    } finally {
      this.#running = undefined;
    }
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    await lease.settle();
    // The end of the connection unlocks as well.
    if (this.#options.exclusive) await lease.session.run([UNLOCK]).catch(() => lease.cancel());
    lease.release();
  }
}

/** A plan older than the schema is no race that was lost: the script can be run again at once. */
function meaning(error: unknown): MikcarError {
  return error instanceof RunError && error.isStale ? staleError(error) : translate(error);
}
