/** One log line per statement: what it was, how long it took, how many rows; never its text or its parameters. */

import { type Call, isMikcarError } from "@mikcar/core";
import type { RowStream } from "./backend.ts";
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

/** As `audited`, for rows that leave as they come: the line is written when the last one has left, or the reader. */
export async function auditedStream(
  auditor: Auditor,
  endpoint: string,
  asked: Statement,
  opening: Promise<RowStream>,
): Promise<AsyncIterable<Buffer>> {
  const end = Promise.withResolvers<number>();
  audited(auditor, endpoint, asked, end.promise, (rows) => rows).catch(() => undefined); // whoever iterates gets the error
  const stream = await opening.catch((error: unknown) => {
    end.reject(error);
    throw error;
  });
  const source = stream.lines[Symbol.asyncIterator]();
  const iterator: AsyncIterator<Buffer> = {
    next: async () => {
      try {
        const result = await source.next();
        if (result.done === true) end.resolve(stream.count());
        return result;
      } catch (error) {
        end.reject(error);
        throw error;
      }
    },
    return: async () => {
      end.resolve(stream.count());
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
