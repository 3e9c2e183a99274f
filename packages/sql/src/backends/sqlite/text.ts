/** A caller's text as SQLite takes it. */

import type { Column, Param } from "../../backend.ts";
import { sqlError } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import { stringifyExact } from "../../json.ts";
import { Effect, type WireParam } from "./wire.ts";

export interface Text {
  /** With `?1` in place of `$1`, which SQLite would take for a name. */
  readonly sql: string;
  /** Where its last word ends, comments and semicolons left aside. */
  readonly end: number;
  /** The highest number of a placeholder. */
  readonly parameters: number;
  readonly effect: Effect;
  /** What the columns were the last time, and the text they were read from. */
  columns: readonly Column[];
  columnsText: string;
}

/** https://www.sqlite.org/limits.html#max_variable_number */
const MOST_PARAMETERS = 32_766;
const KEPT_TEXTS = 1000;
const KEPT_TEXT_SIZE = 16 * 1024;
const LARGEST_INTEGER = 2n ** 63n - 1n;

/** In the order of SQLite's own tokenizer; a doubled quote reads as two strings. What is left is one character. */
const TOKEN =
  /(?<skip>[\s;]+|--[^\n]*|\/\*[^]*?(?:\*\/|$))|'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|[\w\u{80}-\u{10ffff}][\w$\u{80}-\u{10ffff}]*|::|(?<placeholder>\?\d*|[$:@][\w\u{80}-\u{10ffff}]+)|[^]/gu;

const kept = new Map<string, Text>();

/** @throws SQL_ERROR: 42601 for an empty text, 08P01 for a number of parameters that does not fit, 42P02 for names. */
export function readText({ sql, params, kind }: Statement): Text {
  let text = kept.get(sql);
  if (text === undefined) {
    text = parse(sql, kind);
    if (sql.length <= KEPT_TEXT_SIZE) keep(sql, text);
  }
  if (params.length !== text.parameters) {
    throw sqlError(`the statement has ${text.parameters} parameters, but ${params.length} were given`, {
      sqlstate: "08P01",
    });
  }
  return text;
}

function keep(sql: string, text: Text): void {
  if (kept.size >= KEPT_TEXTS) {
    for (const oldest of kept.keys()) {
      kept.delete(oldest);
      break;
    }
  }
  kept.set(sql, text);
}

function parse(sql: string, kind: string): Text {
  if (sql.includes("\0")) throw sqlError("the statement has a NUL character", { sqlstate: "42601" });
  let out = "";
  let end = 0;
  let parameters = 0;
  for (const { 0: token, groups } of sql.matchAll(TOKEN)) {
    const placeholder = groups?.["placeholder"];
    const number = placeholder === undefined ? 0 : numberOf(placeholder, parameters);
    parameters = Math.max(parameters, number);
    out += placeholder === undefined || placeholder === "?" ? token : `?${number}`;
    if (groups?.["skip"] === undefined) end = out.length;
  }
  if (end === 0) throw sqlError("the statement is empty", { sqlstate: "42601" });
  return { sql: out, end, parameters, effect: effectOf(kind), columns: [], columnsText: "" };
}

function numberOf(placeholder: string, largest: number): number {
  if (placeholder !== "?" && !/^[$?]\d+$/.test(placeholder)) {
    throw sqlError(`"${placeholder}" is a named parameter; write $1, $2, … or ?`, { sqlstate: "42P02" });
  }
  const number = placeholder === "?" ? largest + 1 : Number(placeholder.slice(1));
  if (number >= 1 && number <= MOST_PARAMETERS) return number;
  throw sqlError(`"${placeholder}" is no parameter: they are numbered from 1 to ${MOST_PARAMETERS}`, {
    sqlstate: "42P02",
  });
}

function effectOf(kind: string): Effect {
  switch (kind) {
    case "INSERT":
    case "REPLACE":
      return Effect.insert;
    case "UPDATE":
    case "DELETE":
      return Effect.change;
    case "VACUUM":
      return Effect.vacuum;
    default:
      return Effect.none;
  }
}

/** JSON text of `WireParam[]`. @throws SQL_ERROR 22003 for an integer beyond 64 bits, or what is no number. */
export function writeParams(params: readonly Param[]): string {
  return JSON.stringify(params.map(toWire));
}

function toWire(param: Param): WireParam {
  switch (typeof param) {
    case "string":
      return param;
    case "number":
      if (Number.isNaN(param))
        throw sqlError("NaN cannot be a parameter: SQLite has no such value", { sqlstate: "22003" });
      return Number.isSafeInteger(param) || (Number.isFinite(param) && !Number.isInteger(param))
        ? param
        : largeNumber(param);
    case "bigint":
      return [digits(param)];
    case "boolean":
      return param ? 1 : 0;
    default:
      return param === null ? null : stringifyExact(param);
  }
}

function digits(value: bigint): string {
  if (value > LARGEST_INTEGER || value < -LARGEST_INTEGER - 1n) {
    throw sqlError(`the integer ${value} is outside of 64 bits`, { sqlstate: "22003" });
  }
  return value.toString();
}

/** An integral double: an INTEGER where it fits, else a REAL. */
function largeNumber(value: number): readonly [string] {
  return [Math.abs(value) < 2 ** 63 ? BigInt(value).toString() : value.toExponential()];
}
