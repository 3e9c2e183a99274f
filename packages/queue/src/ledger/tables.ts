/** The tables of a ledger, and the numbers that name what lies in them. */

import type { Draft, Table } from "@mikcar/lmdb";
import { key, numberAt } from "./records.ts";

export const TABLES = [
  "meta",
  "sources",
  "payloads",
  "shares",
  "ready",
  "leases",
  "deadlines",
  "delayed",
  "dead",
] as const;
export type Tables = Readonly<Record<(typeof TABLES)[number], Table>>;

const NEXT_NUMBER = Buffer.from("next");

/** Numbers count over all sources of a store, messages and places alike. */
export function nextNumber(draft: Draft, { meta }: Tables, count = 1): number {
  const bytes = draft.get(meta, NEXT_NUMBER);
  const next = bytes === undefined ? 1 : numberAt(bytes, 0);
  draft.put(meta, NEXT_NUMBER, key(undefined, next + count));
  return next;
}
