/** A queue backend over a ledger, wherever its tables lie. */

import { createHash } from "node:crypto";
import type { Draft, Table } from "@mikcar/lmdb";
import {
  type Counts,
  type DeadMessage,
  DEFAULT_GROUP,
  type Message,
  type QueueBackend,
  type Sending,
  type Source,
  type StopListening,
  type Taken,
} from "../backend.ts";
import { IDEMPOTENCY_MS, type Limits } from "../limits.ts";
import { Ledger } from "./ledger.ts";
import { key, numberAt, range, readState, sourcePrefix, topicPrefix } from "./records.ts";
import { nextNumber, TABLES, type Tables } from "./tables.ts";

/** What holds the tables. */
export interface Store {
  table(name: string): Table;
  /** As `Environment.commit` of `@mikcar/lmdb`. */
  commit<T>(step: (draft: Draft) => T): Promise<T>;
  close(): Promise<void>;
  /** Calls `look` after others than this process may have changed something; absent: nobody else can. */
  watch?(look: () => void): () => void;
}

/** How many messages one commit moves for calls that are about all of them. */
const PORTION = 1000;
/** How many forgotten idempotency keys one call removes. */
const SWEEP_KEYS = 10;
const ID = /^([0-9a-z]{10})-([\da-f]{8})$/;
const EPOCH = Buffer.from("epoch");
const NOTHING = Buffer.alloc(0);

export class LedgerQueue implements QueueBackend {
  readonly #store: Store;
  readonly #limits: Limits;
  readonly #tables: Tables;
  /** Idempotency key, with what it is for, to its end and the numbers of its messages; and by that end. */
  readonly #keys: Table;
  readonly #keyEnds: Table;
  /** Tells the ids of this store from those of another; set by `begin`. */
  #epoch = "";
  readonly #bells = new Map<string, Set<() => void>>();
  #unwatch: (() => void) | undefined;

  constructor(store: Store, limits: Limits) {
    this.#store = store;
    this.#limits = limits;
    this.#tables = Object.fromEntries(TABLES.map((name) => [name, store.table(name)])) as Record<
      (typeof TABLES)[number],
      Table
    >; // fromEntries forgets which keys there are
    this.#keys = store.table("keys");
    this.#keyEnds = store.table("key_ends");
  }

  /** @param epoch Eight hexadecimal digits, used when the store is new. */
  async begin(epoch: string): Promise<this> {
    const { meta } = this.#tables;
    this.#epoch = await this.#store.commit((draft) => {
      const known = draft.get(meta, EPOCH);
      if (known === undefined) draft.put(meta, EPOCH, Buffer.from(epoch));
      return known?.toString() ?? epoch;
    });
    return this;
  }

  async ping(): Promise<void> {
    await this.#store.commit(() => undefined);
  }

  close(): Promise<void> {
    this.#bells.clear();
    this.#unwatch?.();
    return this.#store.close();
  }

  push(queue: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const prefix = sourcePrefix({ name: queue, group: undefined });
    return this.#send(prefix, payloads, sending, () => [prefix]);
  }

  publish(topic: string, payloads: readonly string[], sending: Sending): Promise<readonly string[]> {
    const { sources } = this.#tables;
    const prefix = topicPrefix(topic);
    const always = sourcePrefix({ name: topic, group: DEFAULT_GROUP });
    return this.#send(prefix, payloads, sending, (draft) => {
      const others = draft.entries(sources, range(prefix)).map((entry) => entry.key);
      return [always, ...others.filter((other) => !other.equals(always))];
    });
  }

  async take(source: Source, max: number, visibilityMs: number): Promise<Taken> {
    const { maxDeliveries } = this.#limits;
    return this.#store.commit((draft) => {
      if (source.group !== undefined) this.#makeGroup(draft, source);
      return this.#ledger(draft, source).take(max, visibilityMs, maxDeliveries);
    });
  }

  async release(source: Source, ids: readonly string[]): Promise<void> {
    await this.#each(source, ids, (ledger, seq) => ledger.release(seq));
    this.#ring(sourcePrefix(source));
  }

  ack(source: Source, ids: readonly string[]): Promise<readonly boolean[]> {
    return this.#each(source, ids, (ledger, seq) => ledger.ack(seq));
  }

  async nack(source: Source, id: string, delayMs: number, reason: string): Promise<boolean> {
    const { maxDeliveries } = this.#limits;
    const [was] = await this.#each(source, [id], (ledger, seq) => ledger.nack(seq, delayMs, reason, maxDeliveries));
    if (was === true) this.#ring(sourcePrefix(source));
    return was === true;
  }

  count(source: Source): Promise<Counts> {
    return this.#store.commit((draft) => this.#ledger(draft, source).count(this.#limits.maxDeliveries));
  }

  peek(source: Source, max: number): Promise<readonly Message[]> {
    return this.#store.commit((draft) => this.#ledger(draft, source).peek(max, this.#limits.maxDeliveries));
  }

  async purge(source: Source): Promise<number> {
    const { waiting } = await this.count(source); // what comes later stays
    return this.#inPortions(waiting, (ledger, max) => ledger.purge(max, this.#limits.maxDeliveries), source);
  }

  listDead(source: Source, max: number): Promise<readonly DeadMessage[]> {
    return this.#store.commit((draft) => this.#ledger(draft, source).listDead(max, this.#limits.maxDeliveries));
  }

  async redrive(source: Source, max: number): Promise<number> {
    const { dead = 0 } = await this.count(source);
    const all = Math.min(dead, max);
    const count = await this.#inPortions(
      all,
      (ledger, part) => ledger.redrive(part, this.#limits.maxDeliveries),
      source,
    );
    if (count > 0) this.#ring(sourcePrefix(source));
    return count;
  }

  async listen(source: Source, ring: () => void): Promise<StopListening> {
    if (source.group !== undefined) await this.#store.commit((draft) => this.#makeGroup(draft, source));
    const name = sourcePrefix(source).toString();
    const bells = this.#bells.get(name) ?? new Set();
    this.#bells.set(name, bells.add(ring));
    this.#unwatch ??= this.#store.watch?.(() => this.#ringFilled());
    return () => {
      bells.delete(ring);
      if (bells.size === 0 && this.#bells.get(name) === bells) this.#bells.delete(name);
      if (this.#bells.size > 0) return;
      this.#unwatch?.();
      this.#unwatch = undefined;
    };
  }

  async #send(
    target: Buffer,
    payloads: readonly string[],
    { delayMs, idempotencyKey }: Sending,
    receivers: (draft: Draft) => readonly Buffer[],
  ): Promise<readonly string[]> {
    const bodies = payloads.map((payload) => Buffer.from(payload));
    const keyed = idempotencyKey === undefined ? undefined : digest(target, idempotencyKey);
    const { seqs, rung } = await this.#store.commit((draft) => {
      const now = Date.now();
      const known = keyed === undefined ? undefined : this.#sentBefore(draft, keyed, now);
      if (known !== undefined) return { seqs: known, rung: [] };
      const sources = receivers(draft);
      const sent = this.#write(draft, bodies, sources.length);
      for (const prefix of sources) this.#ledger(draft, prefix, now).add(sent, delayMs);
      if (keyed !== undefined) this.#remember(draft, keyed, sent, now);
      return { seqs: sent, rung: sources };
    });
    for (const prefix of rung) this.#ring(prefix);
    return seqs.map((seq) => this.#idOf(seq));
  }

  #write(draft: Draft, bodies: readonly Buffer[], shares: number): readonly number[] {
    const first = nextNumber(draft, this.#tables, bodies.length);
    return bodies.map((body, index) => {
      const number = key(undefined, first + index);
      draft.put(this.#tables.payloads, number, body);
      if (shares > 1) draft.put(this.#tables.shares, number, key(undefined, shares));
      return first + index;
    });
  }

  #sentBefore(draft: Draft, keyed: Buffer, now: number): readonly number[] | undefined {
    const record = draft.get(this.#keys, keyed);
    if (record === undefined || numberAt(record, 0) <= now) return undefined;
    return Array.from({ length: record.length / 6 - 1 }, (_, index) => numberAt(record, index + 1));
  }

  #remember(draft: Draft, keyed: Buffer, seqs: readonly number[], now: number): void {
    const forgotten = draft.entries(this.#keyEnds, { end: key(undefined, now), limit: SWEEP_KEYS });
    for (const { key: end } of forgotten) {
      draft.remove(this.#keyEnds, end);
      const record = draft.get(this.#keys, end.subarray(6));
      if (record !== undefined && numberAt(record, 0) < now) draft.remove(this.#keys, end.subarray(6)); // not used again since
    }
    const end = now + IDEMPOTENCY_MS;
    draft.put(this.#keys, keyed, key(undefined, end, ...seqs));
    draft.put(this.#keyEnds, Buffer.concat([key(undefined, end), keyed]), NOTHING);
  }

  /** So that it gets what is published from now on. */
  #makeGroup(draft: Draft, source: Source): void {
    const prefix = sourcePrefix(source);
    if (!draft.has(this.#tables.sources, prefix))
      draft.put(this.#tables.sources, prefix, key(undefined, 0, 0, 0, 0, 0));
  }

  async #each<T>(source: Source, ids: readonly string[], work: (ledger: Ledger, seq: number) => T): Promise<T[]> {
    const seqs = ids.map((id) => this.#seqOf(id));
    return this.#store.commit((draft) => {
      const ledger = this.#ledger(draft, source);
      const results = seqs.map((seq) => work(ledger, seq));
      ledger.save();
      return results;
    });
  }

  async #inPortions(all: number, work: (ledger: Ledger, max: number) => number, source: Source): Promise<number> {
    let done = 0;
    while (done < all) {
      const max = Math.min(PORTION, all - done);
      const count = await this.#store.commit((draft) => work(this.#ledger(draft, source), max));
      done += count;
      if (count < max) break; // others were faster
    }
    return done;
  }

  #ledger(draft: Draft, source: Source | Buffer, now = Date.now()): Ledger {
    return new Ledger(draft, this.#tables, source, now, (seq) => this.#idOf(seq));
  }

  #idOf(seq: number): string {
    return `${seq.toString(36).padStart(10, "0")}-${this.#epoch}`;
  }

  /** 0, which no message has, for an id that is not of this store. */
  #seqOf(id: string): number {
    const parts = ID.exec(id);
    return parts?.[1] === undefined || parts[2] !== this.#epoch ? 0 : Number.parseInt(parts[1], 36) % 2 ** 48;
  }

  #ring(prefix: Buffer): void {
    if (this.#bells.size === 0) return;
    for (const ring of this.#bells.get(prefix.toString()) ?? []) ring();
  }

  /** Others have changed something: whoever listens where messages are, or will be, is told. */
  #ringFilled(): void {
    for (const [name, bells] of this.#bells) {
      const state = readState(this.#tables.sources.get(Buffer.from(name)));
      if (state.waiting + state.leased + state.delayed === 0) continue;
      for (const ring of bells) ring();
    }
  }
}

function digest(target: Buffer, idempotencyKey: string): Buffer {
  return createHash("sha256").update(target).update(idempotencyKey).digest();
}
