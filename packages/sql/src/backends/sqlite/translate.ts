/** SQLite's failures as ours, with the SQLSTATE that Postgres has for the same fault. */

import { constants } from "node:buffer";
import { type MikcarError, unavailable } from "@mikcar/core";
import { resultTooLarge, type SqlErrorDetails, sqlError, tooManyRows } from "../../errors.ts";
import { type Answer, type Failure, Fault } from "./wire.ts";

/** Extended result codes first, then the low byte: https://www.sqlite.org/rescode.html */
const BY_CODE: Readonly<Record<number, string>> = {
  275: "23514", // CONSTRAINT_CHECK
  787: "23503", // CONSTRAINT_FOREIGNKEY
  1299: "23502", // CONSTRAINT_NOTNULL
  1555: "23505", // CONSTRAINT_PRIMARYKEY
  1811: "P0001", // CONSTRAINT_TRIGGER: RAISE
  2067: "23505", // CONSTRAINT_UNIQUE
  2579: "23505", // CONSTRAINT_ROWID
  3091: "42804", // CONSTRAINT_DATATYPE
  7: "53200", // NOMEM
  8: "25006", // READONLY
  10: "58030", // IOERR
  11: "XX001", // CORRUPT
  13: "53100", // FULL
  14: "58030", // CANTOPEN
  18: "54000", // TOOBIG
  19: "23000", // CONSTRAINT
  20: "42804", // MISMATCH
  23: "42501", // AUTH
  25: "08P01", // RANGE
  26: "XX001", // NOTADB
  [Fault.refused]: "42501",
  [Fault.secondStatement]: "42601",
};
/** What V8 and node:sqlite say of a value that no string can hold; the last when it is a blob's or a row's. */
const TOO_LONG = /string longer|Invalid string length|array length|Iterator result|allocation failed/i;
const MAX_STRING_LENGTH = constants.MAX_STRING_LENGTH;
const BUSY = 5;
const ERROR = 1;

/** SQLITE_ERROR says in words only what is wrong. */
const BY_MESSAGE: readonly (readonly [RegExp, string])[] = [
  [/syntax error|^incomplete input|^unrecognized token|values were supplied|values for \d+ columns/, "42601"],
  [/^no such table|is not a table/, "42P01"],
  [/^no such column|has no column named/, "42703"],
  [/^no such function|^wrong number of arguments to function/, "42883"],
  [/^no such (?:index|view|trigger|collation|module)/, "42704"],
  [/^there is already|already exists|^there is already another/, "42P07"],
  [/^duplicate column name/, "42701"],
  [/^ambiguous column name/, "42702"],
  [/^misuse of aggregate|^misuse of window|GROUP BY/, "42803"],
  [/may not be (?:modified|altered|dropped|indexed)|reserved for internal use|^not authorized/, "42501"],
  [/within a transaction|inside a transaction/, "25001"],
  [/integer overflow/, "22003"],
  [/malformed JSON|JSON path error|bad JSON path/, "22P02"],
  [/too (?:many|big|complex|large|deep)|tree is too large/, "54000"],
];

/** @returns What a caller is told; the message is SQLite's own, which never has a path in it. */
export function translate({ code, message, index }: Failure): MikcarError {
  if (code === Fault.tooManyRows) return tooManyRows(Number(message));
  if (code === Fault.tooManyBytes) return resultTooLarge(Number(message));
  if (code === Fault.other && TOO_LONG.test(message)) return resultTooLarge(MAX_STRING_LENGTH);
  if ((code & 0xff) === BUSY && code > 0) {
    return unavailable("the database file is locked by another process", { headers: { "Retry-After": "1" } });
  }
  return sqlError(message, {
    sqlstate: stateOf(code, message),
    ...placeOf(code, message),
    statement: index < 0 ? undefined : index,
  });
}

/** A statement that was taken for a read, but changes something. */
export function isReadOnlyFailure({ code }: Answer): boolean {
  return code > 0 && (code & 0xff) === 8;
}

function stateOf(code: number, message: string): string {
  const state = BY_CODE[code] ?? (code > 0 ? BY_CODE[code & 0xff] : undefined);
  if (state !== undefined) return state;
  const known = code > 0 && (code & 0xff) === ERROR ? BY_MESSAGE.find(([pattern]) => pattern.test(message)) : undefined;
  return known?.[1] ?? "HY000";
}

/** `UNIQUE constraint failed: t.a, t.b`, `NOT NULL constraint failed: t.a`, `CHECK constraint failed: name`. */
function placeOf(code: number, message: string): Partial<SqlErrorDetails> {
  const [, kind, place] = /^(UNIQUE|NOT NULL|CHECK) constraint failed: (.+)$/s.exec(message) ?? [];
  if ((code & 0xff) !== 19 || place === undefined) return {};
  if (kind === "CHECK") return { constraint: place };
  const [table, column, ...others] = place.split(/\.|, /);
  return { table, column: others.length === 0 ? column : undefined };
}
