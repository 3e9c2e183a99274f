/**
 * SQL over Postgres: `postgres://[user[:password]@]host[:5432]/database`, `postgresql:` alike. For the parameters see `readUrl`.
 * Values travel as text in both directions, untyped, so that the server decides what they are and nothing is rounded.
 */

import type { Gauge, Open } from "@mikcar/core";
import type {
  Affected,
  BatchOptions,
  BeginOptions,
  CallOptions,
  QueryOptions,
  Rows,
  RowStream,
  SqlBackend,
  Transaction,
} from "../../backend.ts";
import { resultTooLarge, tooManyRows } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import { runBatch } from "./batch.ts";
import { keepNoRows, RunError, type StepResult } from "./exchange.ts";
import { Connections } from "./pool.ts";
import { affectedOf, beginning, type Outcome, type Session, word } from "./session.ts";
import { openStream } from "./stream.ts";
import { PostgresTransaction } from "./transaction.ts";
import { readUrl } from "./url.ts";

export const open: Open<SqlBackend> = async (url) => new Postgres(new Connections(readUrl(url)));

class Postgres implements SqlBackend {
  readonly dialect = "postgres";
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  query(
    statement: Statement,
    { maxRows = Infinity, maxBytes = Infinity, int64 = "number", readOnly = false, ...options }: QueryOptions,
  ): Promise<Rows> {
    // A change that gives too much must be undone, which takes a transaction around it, and a second round trip.
    const isUndoable = !statement.isRead && (maxRows !== Infinity || UNBOUNDED.has(statement.kind));
    const mostBytes = statement.isRead || isUndoable ? maxBytes : Infinity;
    const request = { ...statement, limit: maxRows === Infinity ? 0 : maxRows + 1 };
    return this.#call(
      options,
      async (session, cancel) => {
        const onRow = (result: StepResult): void => {
          if (result.sizeBytes <= mostBytes) return;
          result.rows.length = 0; // what still comes until the server has stopped is not kept
          cancel(resultTooLarge(maxBytes));
        };
        const begin = isUndoable || readOnly ? beginning(undefined, readOnly) : [];
        const outcomes = await session.run([...begin, request], onRow);
        const outcome = outcomes.at(-1) as Outcome; // one for each request
        if (outcome.result.sizeBytes > mostBytes) throw resultTooLarge(maxBytes);
        if (outcome.result.count > maxRows) throw tooManyRows(maxRows);
        const rows = await session.rows(outcome, int64, mostBytes);
        if (begin.length > 0) await session.run([word("COMMIT")]);
        return rows;
      },
      statement,
    );
  }

  execute(statement: Statement, { readOnly = false, ...options }: CallOptions): Promise<Affected> {
    return this.#call(
      options,
      async (session) => {
        const around = readOnly ? [beginning(undefined, true), [word("COMMIT")]] : [];
        const [begin = [], end = []] = around;
        const outcomes = await session.run([...begin, statement, ...end], keepNoRows);
        return affectedOf(outcomes[begin.length] as Outcome); // one for each request
      },
      statement,
    );
  }

  stream(statement: Statement, options: QueryOptions): Promise<RowStream> {
    return openStream(this.#connections, statement, options);
  }

  batch(statements: readonly Statement[], options: BatchOptions): Promise<readonly Affected[]> {
    const isSpoiling = statements.some((statement) => statement.isSpoiling);
    return this.#call(options, (session) => runBatch(session, statements, options), { isSpoiling });
  }

  begin(options: BeginOptions): Transaction {
    return new PostgresTransaction(this.#connections, options);
  }

  gauges(): readonly Gauge[] {
    return this.#connections.gauges();
  }

  ping(): Promise<void> {
    return this.#connections.ping();
  }

  close(): Promise<void> {
    return this.#connections.close();
  }

  /** Runs `work`, and once more when all that was wrong is a plan older than the schema. */
  async #call<T>(
    options: CallOptions,
    work: (session: Session, cancel: (reason: Error) => void) => Promise<T>,
    { isSpoiling }: Pick<Statement, "isSpoiling">,
  ): Promise<T> {
    try {
      return await this.#connections.call(options, work, isSpoiling);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      if (!error.isStale) throw error.error;
    }
    try {
      return await this.#connections.call(options, work, isSpoiling);
    } catch (error) {
      throw error instanceof RunError ? error.error : error;
    }
  }
}

/** Changes that may give rows out of all proportion to what was asked. */
const UNBOUNDED = new Set(["UPDATE", "DELETE", "MERGE"]);
