/** One log line per statement: what it was, how long it took, how many rows; never its text or its parameters. */

import { type Call, isMikcarError } from "@mikcar/core";
import type { Statement } from "./statement.ts";

/** Worth a second look in any log. */
const GRAVE = new Set(["ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE"]);

/** Where lines go, and what they say of the call. */
export type Auditor = Pick<Call, "log" | "traceId">;

/**
 * Writes the line of `statement` when `work` is over, and passes its outcome on.
 * @param rowsOf The number of rows in the outcome.
 */
export async function audited<T>(
  { log, traceId }: Auditor,
  endpoint: string,
  { kind, table }: Statement,
  work: Promise<T>,
  rowsOf: (outcome: T) => number,
): Promise<T> {
  const start = performance.now();
  const line = (outcome: { rows: number } | { code: string }): void => {
    const ms = Math.round((performance.now() - start) * 100) / 100;
    const fields = { service: "sql", trace_id: traceId, endpoint, kind, table, ms, ...outcome };
    if (GRAVE.has(kind)) log.warn(fields, "statement");
    else log.info(fields, "statement");
  };
  try {
    const outcome = await work;
    line({ rows: rowsOf(outcome) });
    return outcome;
  } catch (error) {
    line({ code: isMikcarError(error) ? error.code : "INTERNAL_ERROR" });
    throw error;
  }
}
