/**
 * Queues in the memory of this process: `memory://`. They end with the process.
 * `max_deliveries`: how often a message is handed out before it is dead; default 5.
 */

import { randomBytes } from "node:crypto";
import { type Open, unavailable } from "@mikcar/core";
import type { Draft, Entry, Range, Table } from "@mikcar/lmdb";
import BTree from "sorted-btree";
import type { QueueBackend } from "../backend.ts";
import { LedgerQueue, type Store } from "../ledger/queue.ts";
import { limits } from "../limits.ts";

export const open: Open<QueueBackend> = async (url) =>
  new LedgerQueue(new MemoryStore(), limits(url)).begin(randomBytes(4).toString("hex"));

class MemoryStore implements Store {
  #isClosed = false;

  table(): Table {
    return new MemoryTable();
  }

  async commit<T>(step: (draft: Draft) => T): Promise<T> {
    if (this.#isClosed) throw unavailable("the queues are closed");
    return step(DIRECT);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

class MemoryTable implements Table {
  readonly records = new BTree.default<Buffer, Buffer>(undefined, Buffer.compare);

  get(key: Buffer): Buffer | undefined {
    return this.records.get(key);
  }

  has(key: Buffer): boolean {
    return this.records.has(key);
  }

  *keys(range: Range): Generator<Buffer> {
    for (const { key } of this.entries(range)) yield key;
  }

  *entries({ start, end, limit = Infinity }: Range): Generator<Entry> {
    let left = limit;
    for (const [key, value] of this.records.entries(start)) {
      if (left-- <= 0 || (end !== undefined && key.compare(end) >= 0)) return;
      yield { key, value };
    }
  }
}

/** Writes at once: a step does not fail half way, and no other runs meanwhile. */
const DIRECT: Draft = {
  get: (table, key) => table.get(key),
  has: (table, key) => table.has(key),
  put: (table, key, value) => void (table as MemoryTable).records.set(key, value), // the only kind there is here
  remove: (table, key) => void (table as MemoryTable).records.delete(key),
  entries: (table, range) => [...table.entries(range)],
};
