/** What a SQL backend does. Texts and parameters arrive checked; results leave as JSON text, exact to the last digit. */

import type { Backend } from "@mikcar/core";
import type { Statement } from "./statement.ts";

/** A parameter as the caller's JSON has it; integers beyond 2^53 are bigints, at any depth. */
export type Param = null | boolean | number | bigint | string | readonly Param[] | { readonly [name: string]: Param };

export type Isolation = "serializable" | "repeatable read" | "read committed";

/** `string` writes integers beyond 2^53 as strings, for callers whose JSON cannot hold them. */
export type Int64 = "number" | "string";

export interface CallOptions {
  /** Aborted: the statement is cancelled on the server, and the call rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Above 0; undefined: no limit but the signal. Past it: TIMEOUT, and the statement is cancelled as well. */
  readonly timeoutMs?: number | undefined;
  /** Whatever would change something fails with sqlstate 25006, for a caller who may only read. */
  readonly readOnly?: boolean | undefined;
}

export interface QueryOptions extends CallOptions {
  readonly int64?: Int64 | undefined;
  /** One row more and the call is PAYLOAD_TOO_LARGE, without effect. */
  readonly maxRows?: number | undefined;
  /** As `maxRows`, in bytes of JSON; an INSERT may be exempt. */
  readonly maxBytes?: number | undefined;
}

export interface Column {
  readonly name: string;
  /** As the database calls it. */
  readonly type: string;
}

export interface Rows {
  /** Two of one name both stand here; in `json` the later wins. */
  readonly columns: readonly Column[];
  /** The rows as JSON objects with commas between: `{"a":1},{"a":2}`. */
  readonly json: string;
  readonly count: number;
  /** Rows changed, or for a statement that only reads the rows it gave. */
  readonly affected: number;
}

export interface Affected {
  readonly affected: number;
  /** SQLite only: the rowid of the last insert, after an INSERT. */
  readonly lastInsertId?: bigint | undefined;
}

/** A result on its way. */
export interface RowStream {
  readonly columns: readonly Column[];
  /**
   * One JSON object a line, in pieces of some 64 KiB. A write is committed when there are no more.
   * To be iterated once; ending it early, also before its first piece, cancels the statement.
   */
  readonly lines: AsyncIterable<Buffer>;
  /** Rows given so far. */
  count(): number;
}

export interface BatchOptions extends CallOptions {
  /** Undefined: what the database is set to. */
  readonly isolation?: Isolation | undefined;
}

export interface BeginOptions {
  readonly isolation: Isolation;
  /**
   * Waits until no other exclusive transaction runs, also of other sidecars: for one that has lost to others before.
   * One that is not exclusive may fail with sqlstate 55P03 when it has waited for a lock.
   */
  readonly exclusive: boolean;
  readonly signal: AbortSignal;
  /** As in `CallOptions`. */
  readonly readOnly?: boolean | undefined;
  /** Of the rows one statement gives, in bytes of JSON; beyond it the statement fails with PAYLOAD_TOO_LARGE. */
  readonly maxBytes?: number | undefined;
}

/**
 * A transaction that a script drives, one statement at a time. It begins with its first statement. After a failed
 * statement every other one fails; only `rollback` is left.
 */
export interface Transaction {
  query(statement: Statement): Promise<Rows>;
  execute(statement: Statement): Promise<Affected>;
  /** @throws CONFLICT with sqlstate 40001 when it lost to another transaction; all is rolled back then. */
  commit(): Promise<void>;
  /** Never throws; cancels a statement that runs. Safe to call after the end. */
  rollback(): Promise<void>;
}

/**
 * Errors of all methods: SQL_ERROR or CONFLICT with `details.sqlstate` and the database's message; TIMEOUT;
 * UNAVAILABLE when the database is away; PAYLOAD_TOO_LARGE for the limits of QueryOptions.
 * A statement is its own transaction outside of `batch` and `begin`.
 */
export interface SqlBackend extends Backend {
  readonly dialect: "postgres" | "sqlite";
  query(statement: Statement, options: QueryOptions): Promise<Rows>;
  execute(statement: Statement, options: CallOptions): Promise<Affected>;
  /** Resolves with the first rows at hand, or rejects as `query` does. `timeoutMs` is the time to each piece. */
  stream(statement: Statement, options: QueryOptions): Promise<RowStream>;
  /** All or nothing. A failure has `details.statement`, the index of the one that failed. */
  batch(statements: readonly Statement[], options: BatchOptions): Promise<readonly Affected[]>;
  /** @throws UNAVAILABLE when it is known already that nothing can be written. */
  begin(options: BeginOptions): Transaction;
}
