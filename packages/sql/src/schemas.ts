/** The JSON of the sql routes, in and out. */

import { z } from "@mikcar/core/zod";
import type { Param } from "./backend.ts";

export const MAX_STATEMENTS = 1000;
export const MAX_PARAMS = 32_766; // what SQLite can count, and pg can read back from Postgres
const MAX_DEPTH = 200;
const MAX_TIMEOUT_MS = 86_400_000;

const TEXT_FAULT = "expected text without NUL characters and without half a surrogate pair";

function isText(value: string): boolean {
  return value.isWellFormed() && !value.includes("\0");
}

/** What a caller's JSON may hold as a parameter: numbers that are numbers, and text that a database can store. */
function isParam(value: unknown, depth = 0): value is Param {
  if (typeof value === "string") return isText(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth === MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => isParam(item, depth + 1));
  return Object.entries(value).every(([name, item]) => isText(name) && isParam(item, depth + 1));
}

const param = z
  .unknown()
  .refine((value) => isParam(value), {
    error: `expected JSON of at most ${MAX_DEPTH} levels, with numbers that a double can hold and ${TEXT_FAULT.slice(9)}`,
  })
  .transform((value) => value as Param); // isParam has just said so
const sql = z
  .string()
  .min(1, "expected a statement")
  .refine(isText, TEXT_FAULT)
  .meta({ description: "One statement; $1, $2 stand for the parameters." });
const params = z
  .array(param)
  .max(MAX_PARAMS)
  .nullish()
  .transform((list) => list ?? [])
  .meta({
    description: "null, booleans, numbers (integers exact to 64 bits), strings, and objects and arrays as JSON.",
  });
const timeoutMs = z
  .int()
  .min(1)
  .max(MAX_TIMEOUT_MS)
  .optional()
  .meta({ description: "Milliseconds; past it the statement is cancelled on the server, and the answer is 408." });
const isolation = z
  .enum(["serializable", "repeatable read", "read committed"])
  .optional()
  .meta({ description: "Absent: a script is serializable, a batch has what the database is set to." });

export const statementBody = z.object({ sql, params });
export const executeBody = statementBody.extend({ timeout_ms: timeoutMs });
export const queryBody = executeBody.extend({
  max_rows: z.int().min(1).optional().meta({ description: "One row more is 413, and the statement has no effect." }),
  int64: z
    .enum(["number", "string"])
    .optional()
    .meta({ description: "string: integers beyond 2^53 come as strings, for clients whose JSON cannot hold them." }),
});
export const batchBody = z.object({
  statements: z.array(statementBody).min(1).max(MAX_STATEMENTS),
  timeout_ms: timeoutMs,
  isolation,
});
export const scriptBody = z.object({
  script: z
    .string()
    .min(1, "expected a script")
    .refine((text) => text.isWellFormed(), "expected text without half a surrogate pair")
    .meta({ description: "`export default function`, code with `return`, or an expression." }),
  input: z.unknown().optional().meta({ description: "What the script sees as `input`." }),
  isolation,
});

const rowsAffected = z.int();
const column = z.object({ name: z.string(), type: z.string() });
export const rowsReply = z.object({
  rows: z.array(z.record(z.string(), z.unknown())),
  row_count: z.int(),
  columns: z.array(column),
});
export const affectedReply = z.object({
  rows_affected: rowsAffected,
  last_insert_id: z.int().optional().meta({ description: "SQLite only, after an INSERT." }),
});
export const batchReply = z.object({
  status: z.literal("ok"),
  statements_executed: z.int(),
  total_rows_affected: z.int(),
  results: z.array(affectedReply),
});
export const scriptReply = z.object({ result: z.unknown(), queries_executed: z.int() });
