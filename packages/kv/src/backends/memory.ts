/**
 * KV in the memory of this process: `memory://`. It has no parameters, and ends with the process.
 * Keys are also held in order, so that a listing costs what it lists.
 */

import { compareUtf8, type Open, unavailable } from "@mikcar/core";
import BTree from "sorted-btree";
import type { Change, KeyPage, KvBackend, Result, Transaction } from "../backend.ts";
import type { Glob } from "../glob.ts";
import { page, portions } from "../listing.ts";
import { type Entry, plan, type Reader } from "../plan.ts";
import { changesOf, Watches } from "../watch.ts";

export const open: Open<KvBackend> = async () => new MemoryKv();

interface Stored {
  readonly value: Buffer;
  readonly expiresAt: number;
}

interface Due {
  readonly at: number;
  readonly key: string;
}

const SWEEP_MS = 1000;
const SWEEP_KEYS = 500;

class MemoryKv implements KvBackend {
  readonly #entries = new Map<string, Stored>();
  readonly #order = new BTree.default<string, undefined>(undefined, compareUtf8);
  readonly #due = new BTree.default<Due, undefined>(undefined, compareDue);
  readonly #sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  readonly #watches = new Watches();
  #isClosed = false;

  async ping(): Promise<void> {
    this.#refuseClosed();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    this.#watches.end();
  }

  async get(key: string): Promise<Buffer | undefined> {
    this.#refuseClosed();
    return this.#live(key)?.value;
  }

  async getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    this.#refuseClosed();
    const now = Date.now();
    return keys.map((key) => this.#live(key, now)?.value);
  }

  async exists(key: string): Promise<boolean> {
    this.#refuseClosed();
    return this.#live(key) !== undefined;
  }

  async expiresAt(key: string): Promise<number | undefined> {
    this.#refuseClosed();
    return this.#live(key)?.expiresAt;
  }

  async transact(transaction: Transaction): Promise<readonly Result[]> {
    this.#refuseClosed();
    const now = Date.now();
    const reader: Reader = {
      value: (key) => this.#live(key, now)?.value,
      expiresAt: (key) => this.#live(key, now)?.expiresAt,
    };
    const { changes, results } = plan(reader, transaction, now);
    if (!this.#watches.isEmpty) this.#watches.tell(this.#newsOf(changes, now));
    for (const [key, entry] of changes) this.#write(key, entry);
    return results;
  }

  async watch(glob: Glob, ending: AbortSignal): Promise<AsyncIterable<readonly Change[]>> {
    this.#refuseClosed();
    return this.#watches.open(glob, ending);
  }

  listKeys(glob: Glob): AsyncIterable<readonly string[]> {
    this.#refuseClosed();
    return portions((prefix, after) => this.#walk(prefix, after), glob);
  }

  async pageKeys(glob: Glob, limit: number, cursor: string | undefined): Promise<KeyPage> {
    this.#refuseClosed();
    return page((prefix, after) => this.#walk(prefix, after), glob, limit, cursor);
  }

  #newsOf(changes: ReadonlyMap<string, Entry | undefined>, now: number): readonly Change[] {
    return [...changes].flatMap(([key, entry]) => {
      const old = this.#entries.get(key);
      return changesOf(key, entry, old === undefined ? "absent" : old.expiresAt > now ? "live" : "expired");
    });
  }

  #live(key: string, now: number = Date.now()): Stored | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.expiresAt <= now ? undefined : entry;
  }

  *#walk(prefix: string, after: string | undefined): Generator<string> {
    const now = Date.now();
    for (const [key] of this.#order.entries(after ?? prefix)) {
      if (!key.startsWith(prefix)) return;
      if (key !== after && this.#live(key, now) !== undefined) yield key;
    }
  }

  #write(key: string, entry: Entry | undefined): void {
    const old = this.#entries.get(key);
    if (old !== undefined && old.expiresAt !== Infinity) this.#due.delete({ at: old.expiresAt, key });
    if (entry === undefined) {
      this.#entries.delete(key);
      this.#order.delete(key);
      return;
    }
    if (old === undefined) this.#order.set(key, undefined);
    if (entry.expiresAt !== Infinity) this.#due.set({ at: entry.expiresAt, key }, undefined);
    // A request's Buffer may be a small part of a large one, which it would keep alive.
    const value = entry.value === undefined ? (old as Stored).value : Buffer.from(entry.value); // an expiry alone has an old
    this.#entries.set(key, { value, expiresAt: entry.expiresAt });
  }

  /** Removes what has expired, a bounded number at a time, so that no call waits for it. */
  #sweep(): void {
    const now = Date.now();
    for (let count = 0; count < SWEEP_KEYS; count++) {
      const due = this.#due.minKey();
      if (due === undefined || due.at > now) return;
      this.#watches.tell([{ type: "expired", key: due.key }]);
      this.#write(due.key, undefined);
    }
    setImmediate(() => {
      if (!this.#isClosed) this.#sweep();
    });
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw unavailable("the store is closed");
  }
}

function compareDue(a: Due, b: Due): number {
  return a.at - b.at || compareUtf8(a.key, b.key);
}
