/** Answers in the terms of the backend. */

import type { Affected, Column, Rows } from "../../backend.ts";
import type { Text } from "./text.ts";
import type { Success } from "./wire.ts";

/** @param text Keeps the columns for the next time: they are mostly the same. */
export function columnsOf({ columns }: Success, text: Text): readonly Column[] {
  if (text.columnsText !== columns) {
    const pairs = JSON.parse(columns) as [string, string][]; // as the wire has it
    text.columns = pairs.map(([name, type]) => ({ name, type }));
    text.columnsText = columns;
  }
  return text.columns;
}

export function rowsOf(success: Success, text: Text): Rows {
  const { rows, count, affected } = success;
  return { columns: columnsOf(success, text), json: rows, count, affected };
}

export function affectedOf({ affected, lastInsertId }: Pick<Success, "affected" | "lastInsertId">): Affected {
  return lastInsertId === "" ? { affected } : { affected, lastInsertId: BigInt(lastInsertId) };
}

/** Of a batch, in its order. */
export function batchOf({ rows }: Success): readonly Affected[] {
  const results = JSON.parse(rows) as [number, string][]; // as the wire has it
  return results.map(([affected, lastInsertId]) => affectedOf({ affected, lastInsertId }));
}
