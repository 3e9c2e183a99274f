/**
 * KV in one LMDB file: `file:///path/kv.lmdb`, also `lmdb:` and `redb:`; a path without a leading slash is relative.
 * `sync`: default true, a write is on the disk when it is acknowledged; false trades that away for speed.
 * Processes may share the file. Deleting frees pages for reuse; the file itself does not shrink.
 */

import { type Environment, type Draft, openEnvironment, type Table } from "@mikcar/lmdb";
import { configError, type Open } from "@mikcar/core";
import type { Change, KeyPage, KvBackend, Result, Transaction } from "../../backend.ts";
import type { Glob } from "../../glob.ts";
import { page, portions } from "../../listing.ts";
import { type Entry, plan, type Reader } from "../../plan.ts";
import { changesOf } from "../../watch.ts";
import { ChangeLog } from "./log.ts";
import { readNumber, writeNumber } from "./number.ts";

export const open: Open<KvBackend> = async (url, warn) => {
  const sync = url.flag("sync", true);
  url.refuseUnread();
  if (url.path === "") throw configError(`${url.scheme}: the path of the file is missing; write file:///path/kv.lmdb`);
  const environment = openEnvironment(url.path, { sync });
  if (!sync) warn?.("sync=false: what is acknowledged survives the end of this process, but not that of the machine");
  return new LmdbKv(environment);
};

const SWEEP_MS = 1000;
const SWEEP_KEYS = 500;
const NOTHING = Buffer.alloc(0);
/** Behind every key with a given beginning: the byte FF is not part of any UTF-8 text. */
const END = Buffer.from([0xff]);

class LmdbKv implements KvBackend {
  readonly #environment: Environment;
  /** Key to value, as it came. */
  readonly #values: Table;
  /** Key to expiry, for keys that have one, so that asking for it does not read the value. */
  readonly #expiries: Table;
  /** Expiry and key, to find what is due. */
  readonly #due: Table;
  readonly #log: ChangeLog;
  readonly #sweeper: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#values = environment.table("values");
    this.#expiries = environment.table("expiries");
    this.#due = environment.table("due");
    this.#log = new ChangeLog(environment);
    this.#sweeper = setInterval(() => {
      // A full disk, say: the next second tries again, and those who write are told by their own calls.
      this.#sweeping ??= this.#sweep()
        .catch(() => undefined)
        .finally(() => (this.#sweeping = undefined));
    }, SWEEP_MS).unref();
  }

  async ping(): Promise<void> {
    await this.#environment.commit(() => undefined);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#log.end();
    await this.#sweeping;
    await this.#environment.close();
  }

  async get(key: string): Promise<Buffer | undefined> {
    this.#environment.refresh(); // another process may have acknowledged a write just now
    return this.#read(Buffer.from(key), Date.now());
  }

  async getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    this.#environment.refresh();
    if (!this.#hasExpiries()) return keys.map((key) => this.#values.get(Buffer.from(key)));
    const now = Date.now();
    return keys.map((key) => this.#read(Buffer.from(key), now));
  }

  async exists(key: string): Promise<boolean> {
    return (await this.expiresAt(key)) !== undefined;
  }

  async expiresAt(key: string): Promise<number | undefined> {
    this.#environment.refresh();
    const name = Buffer.from(key);
    const expiresAt = readTime(this.#expiries.get(name));
    return expiresAt > Date.now() && this.#values.has(name) ? expiresAt : undefined;
  }

  async transact(transaction: Transaction): Promise<readonly Result[]> {
    const done = await this.#environment.commit((draft) => {
      const now = Date.now();
      const { changes, results } = plan(this.#reader(draft, now), transaction, now);
      if (this.#log.isRead(draft, now)) this.#log.append(draft, this.#newsOf(draft, changes, now));
      for (const [key, entry] of changes) this.#write(draft, Buffer.from(key), entry);
      return results;
    });
    this.#log.poll();
    return done;
  }

  watch(glob: Glob, ending: AbortSignal): Promise<AsyncIterable<readonly Change[]>> {
    return this.#log.watch(glob, ending);
  }

  listKeys(glob: Glob): AsyncIterable<readonly string[]> {
    return portions((prefix, after) => this.#walk(prefix, after), glob);
  }

  pageKeys(glob: Glob, limit: number, cursor: string | undefined): Promise<KeyPage> {
    return page((prefix, after) => this.#walk(prefix, after), glob, limit, cursor);
  }

  /** One look that saves many where no key expires. */
  #hasExpiries(): boolean {
    const [first] = this.#expiries.keys({ limit: 1 });
    return first !== undefined;
  }

  #read(name: Buffer, now: number): Buffer | undefined {
    const value = this.#values.get(name);
    return value !== undefined && readTime(this.#expiries.get(name)) > now ? value : undefined;
  }

  #reader(draft: Draft, now: number): Reader {
    const expiry = (name: Buffer): number => readTime(draft.get(this.#expiries, name));
    return {
      value: (key) => {
        const name = Buffer.from(key);
        return expiry(name) > now ? draft.get(this.#values, name) : undefined;
      },
      expiresAt: (key) => {
        const name = Buffer.from(key);
        const expiresAt = expiry(name);
        return expiresAt > now && draft.has(this.#values, name) ? expiresAt : undefined;
      },
    };
  }

  #newsOf(draft: Draft, changes: ReadonlyMap<string, Entry | undefined>, now: number): readonly Change[] {
    return [...changes].flatMap(([key, entry]) => {
      const name = Buffer.from(key);
      if (!draft.has(this.#values, name)) return changesOf(key, entry, "absent");
      return changesOf(key, entry, readTime(draft.get(this.#expiries, name)) > now ? "live" : "expired");
    });
  }

  #write(draft: Draft, name: Buffer, entry: Entry | undefined): void {
    const old = draft.get(this.#expiries, name);
    const expiresAt = entry?.expiresAt ?? Infinity;
    if (old !== undefined) draft.remove(this.#due, Buffer.concat([old, name]));
    if (entry === undefined) draft.remove(this.#values, name);
    else if (entry.value !== undefined) draft.put(this.#values, name, entry.value);
    if (expiresAt === Infinity) {
      if (old !== undefined) draft.remove(this.#expiries, name);
      return;
    }
    const time = writeTime(expiresAt);
    draft.put(this.#expiries, name, time);
    draft.put(this.#due, Buffer.concat([time, name]), NOTHING);
  }

  *#walk(prefix: string, after: string | undefined): Generator<string> {
    this.#environment.refresh();
    const now = Date.now();
    const start = Buffer.from(after ?? prefix);
    for (const name of this.#values.keys({
      ...(start.length === 0 ? {} : { start }),
      end: Buffer.concat([Buffer.from(prefix), END]),
    })) {
      if (after !== undefined && name.equals(start)) continue;
      if (readTime(this.#expiries.get(name)) > now) yield name.toString();
    }
  }

  /** Removes what has expired, a bounded number per commit, so that other writers share the commits in between. */
  async #sweep(): Promise<void> {
    for (;;) {
      const end = writeTime(Date.now() + 1);
      const due = [...this.#due.keys({ end, limit: SWEEP_KEYS })];
      if (due.length === 0) return this.#log.clean();
      await this.#environment.commit((draft) => {
        const gone = due.filter((key) => draft.has(this.#due, key)).map((key) => key.subarray(8));
        if (this.#log.isRead(draft, Date.now())) {
          this.#log.append(
            draft,
            gone.map((name) => ({ type: "expired", key: name.toString() })),
          );
        }
        for (const name of gone) this.#write(draft, name, undefined);
      });
      this.#log.poll();
    }
  }
}

/** Milliseconds since 1970. */
function writeTime(time: number): Buffer {
  return writeNumber(Math.ceil(time));
}

function readTime(bytes: Buffer | undefined): number {
  return bytes === undefined ? Infinity : readNumber(bytes);
}
