/** SQLSTATEs to the errors of the wire. Both databases end here, so that the same fault has the same code. */

import { MikcarError, type ErrorCode } from "@mikcar/core";

/** Codes by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, ErrorCode>> = {
  "08P01": "SQL_ERROR", // a wrong number of parameters
  "23503": "CONFLICT", // foreign key
  "23505": "CONFLICT", // unique
  "23514": "CONFLICT", // check
  "23P01": "CONFLICT", // exclusion
  "40001": "CONFLICT", // serialization
  "40P01": "CONFLICT", // deadlock
  "57014": "TIMEOUT", // cancelled
};
const BY_CLASS: Readonly<Record<string, ErrorCode>> = {
  "08": "UNAVAILABLE", // connection
  "28": "UNAVAILABLE", // the sidecar may not log in: nothing the caller can mend
  "53": "UNAVAILABLE", // out of disk, memory, connections
  "57": "UNAVAILABLE", // shutdown, crash
  "58": "INTERNAL_ERROR", // files of the database
  XX: "INTERNAL_ERROR", // corruption
};

/** What the caller learns beside the message; undefined members are left out. */
export interface SqlErrorDetails {
  readonly sqlstate: string;
  /** Of the fault in the text, in characters from 1. */
  readonly position?: number | undefined;
  readonly hint?: string | undefined;
  readonly constraint?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  /** In a batch: the index of the statement that failed. */
  readonly statement?: number | undefined;
}

/** @param message The database's own; the caller sees it when the status is below 500. */
export function sqlError(message: string, details: SqlErrorDetails, cause?: unknown): MikcarError {
  const { sqlstate, position, hint, constraint, table, column, statement } = details;
  const code = BY_STATE[sqlstate] ?? BY_CLASS[sqlstate.slice(0, 2)] ?? "SQL_ERROR";
  const known = JSON.parse(
    JSON.stringify({ sqlstate, statement, position, hint, constraint, table, column }),
  ) as object;
  return new MikcarError(code, message, { details: known, cause });
}

/** The SQLSTATE of an error that `sqlError` made, else undefined. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof MikcarError)) return undefined;
  return (error.details as Partial<SqlErrorDetails> | undefined)?.sqlstate; // details of ours, or of another shape
}

/** A plan was older than the schema: the transaction can be run again at once, nobody has won over it. */
export function staleError(cause: unknown): MikcarError {
  return new MikcarError("CONFLICT", "the schema has changed under a statement", { details: { stale: true }, cause });
}

export function isStale(error: unknown): boolean {
  return error instanceof MikcarError && (error.details as { stale?: boolean } | undefined)?.stale === true;
}

/** It lost to another transaction, and may succeed when it is run again. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/** @param maxRows As the caller gave it. */
export function tooManyRows(maxRows: number): MikcarError {
  return new MikcarError("PAYLOAD_TOO_LARGE", `the result has more than the ${maxRows} rows of max_rows; ${ADVICE}`, {
    details: { max_rows: maxRows },
  });
}

export function resultTooLarge(maxBytes: number): MikcarError {
  return new MikcarError("PAYLOAD_TOO_LARGE", `the result has more than ${maxBytes} bytes; ${ADVICE}`, {
    details: { limit_bytes: maxBytes },
  });
}

const ADVICE = "ask for less with LIMIT, or stream it with Accept: application/x-ndjson";
