/**
 * Queues as records in ordered tables: the meaning of the memory and the LMDB backend. Each method is one step of a
 * commit and costs the messages it moves, however long the queue is.
 *
 * A payload is written once, under the number of its message. What moves between the tables is a small entry:
 * `ready` (source, place), `leases` (source, number) with `deadlines` (source, time, number), `delayed` (source, time,
 * number) and `dead` (source, place).
 */

import type { Draft } from "@mikcar/lmdb";
import {
  type Counts,
  type DeadMessage,
  EXPIRED,
  type Message,
  type Source,
  type Taken,
  TAKE_BYTES,
} from "../backend.ts";
import {
  type Death,
  type Entry,
  key,
  type Lease,
  numberAt,
  range,
  readDeath,
  readEntry,
  readLease,
  readState,
  sourcePrefix,
  type State,
  writeDeath,
  writeEntry,
  writeLease,
  writeState,
} from "./records.ts";
import { nextNumber, type Tables } from "./tables.ts";

/** How many due messages one step moves; the rest is moved by the next. */
const MOVES = 1000;
const NOTHING = Buffer.alloc(0);
/** How the prefix of a queue begins; that of a group stays, for what is published later. */
const QUEUE = 0x71;

/** One source within one step. */
export class Ledger {
  readonly #draft: Draft;
  readonly #tables: Tables;
  readonly #prefix: Buffer;
  readonly #state: State;
  readonly #now: number;
  readonly #idOf: (seq: number) => string;

  /** @param now Milliseconds since 1970. @param idOf The public id of a message number. */
  constructor(draft: Draft, tables: Tables, source: Source | Buffer, now: number, idOf: (seq: number) => string) {
    this.#draft = draft;
    this.#tables = tables;
    this.#prefix = Buffer.isBuffer(source) ? source : sourcePrefix(source);
    this.#state = readState(draft.get(tables.sources, this.#prefix));
    this.#now = now;
    this.#idOf = idOf;
  }

  /** Puts messages whose payloads are written at the end, or among the delayed. */
  add(seqs: readonly number[], delayMs: number): void {
    this.#moveDue();
    for (const seq of seqs) this.#putLater({ seq, order: seq, deliveries: 0 }, delayMs);
    this.save();
  }

  take(max: number, visibilityMs: number, maxDeliveries: number): Taken {
    this.#moveDue();
    this.#endLeases(maxDeliveries);
    const messages: Message[] = [];
    let bytes = 0;
    for (const { key: place, value } of this.#waiting(max)) {
      const entry = readEntry(value);
      const payload = this.#payload(entry.seq);
      bytes += payload.length;
      if (bytes > TAKE_BYTES && messages.length > 0) break;
      this.#draft.remove(this.#tables.ready, place);
      this.#state.waiting--;
      const deliveries = entry.deliveries + 1;
      this.#lease({ ...entry, deliveries, deadline: this.#now + visibilityMs });
      messages.push({ id: this.#idOf(entry.seq), payload: payload.toString(), deliveries });
    }
    this.save();
    return { messages, nextInMs: this.#nextInMs() };
  }

  release(seq: number): void {
    const lease = this.#endLease(seq);
    if (lease !== undefined) this.#putReady({ ...lease, deliveries: lease.deliveries - 1 });
  }

  ack(seq: number): boolean {
    if (this.#endLease(seq) === undefined) return false;
    this.#forget(seq);
    return true;
  }

  nack(seq: number, delayMs: number, reason: string, maxDeliveries: number): boolean {
    const lease = this.#endLease(seq);
    if (lease === undefined) return false;
    if (lease.deliveries >= maxDeliveries) this.#bury(lease, reason);
    else this.#putLater(lease, delayMs);
    return true;
  }

  count(maxDeliveries: number): Counts {
    this.#moveDue();
    this.#endLeases(maxDeliveries);
    this.save();
    const { waiting, leased, delayed, dead } = this.#state;
    return { waiting, leased, delayed, dead };
  }

  peek(max: number, maxDeliveries: number): readonly Message[] {
    this.count(maxDeliveries);
    const messages: Message[] = [];
    let bytes = 0;
    for (const { value } of this.#waiting(max)) {
      const { seq, deliveries } = readEntry(value);
      const payload = this.#payload(seq);
      bytes += payload.length;
      if (bytes > TAKE_BYTES && messages.length > 0) break;
      messages.push({ id: this.#idOf(seq), payload: payload.toString(), deliveries });
    }
    return messages;
  }

  /** Removes up to `max` of the waiting ones. */
  purge(max: number, maxDeliveries: number): number {
    this.count(maxDeliveries);
    const entries = this.#waiting(max);
    for (const { key: place, value } of entries) {
      this.#draft.remove(this.#tables.ready, place);
      this.#forget(readEntry(value).seq);
    }
    this.#state.waiting -= entries.length;
    this.save();
    return entries.length;
  }

  listDead(max: number, maxDeliveries: number): readonly DeadMessage[] {
    this.count(maxDeliveries);
    const messages: DeadMessage[] = [];
    let bytes = 0;
    for (const { value } of this.#draft.entries(this.#tables.dead, { ...range(this.#prefix), limit: max })) {
      const { seq, deliveries, reason, diedAt } = readDeath(value);
      const payload = this.#payload(seq);
      bytes += payload.length;
      if (bytes > TAKE_BYTES && messages.length > 0) break;
      const diedAtDate = new Date(diedAt);
      messages.push({ id: this.#idOf(seq), payload: payload.toString(), deliveries, reason, diedAt: diedAtDate });
    }
    return messages;
  }

  redrive(max: number, maxDeliveries: number): number {
    this.count(maxDeliveries);
    const entries = this.#draft.entries(this.#tables.dead, { ...range(this.#prefix), limit: max });
    for (const { key: place, value } of entries) {
      this.#draft.remove(this.#tables.dead, place);
      this.#putReady({ seq: readDeath(value).seq, order: nextNumber(this.#draft, this.#tables), deliveries: 0 });
    }
    this.#state.dead -= entries.length;
    this.save();
    return entries.length;
  }

  /** Writes what is known of the source. The methods for single leases leave that to their caller. */
  save(): void {
    const { sources } = this.#tables;
    const written = writeState(this.#state);
    const before = this.#draft.get(sources, this.#prefix);
    const isIdle =
      this.#prefix[0] === QUEUE &&
      this.#state.waiting + this.#state.leased + this.#state.delayed + this.#state.dead === 0;
    if (isIdle && before !== undefined)
      this.#draft.remove(sources, this.#prefix); // a name that was used once costs nothing
    else if (!isIdle && before?.equals(written) !== true) this.#draft.put(sources, this.#prefix, written);
  }

  #waiting(limit: number): ReturnType<Draft["entries"]> {
    if (this.#state.waiting === 0) return [];
    return this.#draft.entries(this.#tables.ready, { ...range(this.#prefix), limit });
  }

  #putReady(entry: Entry): void {
    this.#draft.put(this.#tables.ready, key(this.#prefix, entry.order), writeEntry(entry));
    this.#state.waiting++;
  }

  #putLater(entry: Entry, delayMs: number): void {
    if (delayMs <= 0) return this.#putReady(entry);
    const due = this.#now + delayMs;
    this.#draft.put(this.#tables.delayed, key(this.#prefix, due, entry.seq), writeEntry(entry));
    this.#state.delayed++;
    this.#expect(due);
  }

  #lease(lease: Lease): void {
    this.#draft.put(this.#tables.leases, key(this.#prefix, lease.seq), writeLease(lease));
    this.#draft.put(this.#tables.deadlines, key(this.#prefix, lease.deadline, lease.seq), NOTHING);
    this.#state.leased++;
    this.#expect(lease.deadline);
  }

  /** The lease that has ended with it; undefined when there was none that still held. */
  #endLease(seq: number): Lease | undefined {
    const bytes = this.#draft.get(this.#tables.leases, key(this.#prefix, seq));
    if (bytes === undefined) return undefined;
    const lease = readLease(bytes);
    if (lease.deadline <= this.#now) return undefined; // it belongs to whoever takes it next
    this.#removeLease(lease);
    return lease;
  }

  #removeLease(lease: Lease): void {
    this.#draft.remove(this.#tables.leases, key(this.#prefix, lease.seq));
    this.#draft.remove(this.#tables.deadlines, key(this.#prefix, lease.deadline, lease.seq));
    this.#state.leased--;
  }

  /** Delayed messages that are due stand in line from now on. */
  #moveDue(): void {
    if (this.#state.delayed === 0 || this.#state.nextDue > this.#now) return;
    const due = { ...range(this.#prefix, this.#now), limit: MOVES };
    for (const { key: place, value } of this.#draft.entries(this.#tables.delayed, due)) {
      this.#draft.remove(this.#tables.delayed, place);
      this.#state.delayed--;
      this.#putReady({ ...readEntry(value), order: nextNumber(this.#draft, this.#tables) });
    }
    if (this.#state.leased === 0) this.#lookAhead();
  }

  /** Leases that have run out give their messages back. */
  #endLeases(maxDeliveries: number): void {
    if (this.#state.leased === 0 || this.#state.nextDue > this.#now) return;
    const due = { ...range(this.#prefix, this.#now), limit: MOVES };
    for (const { key: place } of this.#draft.entries(this.#tables.deadlines, due)) {
      const bytes = this.#draft.get(this.#tables.leases, key(this.#prefix, numberAt(place, -1)));
      const lease = readLease(bytes as Buffer); // the two tables are written together
      this.#removeLease(lease);
      if (lease.deliveries >= maxDeliveries) this.#bury(lease, EXPIRED);
      else this.#putReady(lease);
    }
    this.#lookAhead();
  }

  #bury(entry: Entry, reason: string): void {
    const death: Death = { ...entry, order: nextNumber(this.#draft, this.#tables), diedAt: this.#now, reason };
    this.#draft.put(this.#tables.dead, key(this.#prefix, death.order), writeDeath(death));
    this.#state.dead++;
  }

  #expect(time: number): void {
    if (this.#state.nextDue === 0 || time < this.#state.nextDue) this.#state.nextDue = time;
  }

  #lookAhead(): void {
    this.#state.nextDue = 0;
    for (const table of [this.#tables.delayed, this.#tables.deadlines]) {
      const [first] = this.#draft.entries(table, { ...range(this.#prefix), limit: 1 });
      if (first !== undefined) this.#expect(numberAt(first.key, -2));
    }
  }

  #nextInMs(): number | undefined {
    if (this.#state.waiting > 0) return 0;
    if (this.#state.nextDue === 0 || this.#state.leased + this.#state.delayed === 0) return undefined;
    return Math.max(0, this.#state.nextDue - this.#now);
  }

  #payload(seq: number): Buffer {
    return this.#draft.get(this.#tables.payloads, key(undefined, seq)) as Buffer; // written before any entry of it
  }

  /** One group fewer has it; the last one takes the payload along. */
  #forget(seq: number): void {
    const number = key(undefined, seq);
    const shares = this.#draft.get(this.#tables.shares, number);
    const left = shares === undefined ? 0 : numberAt(shares, 0) - 1;
    if (left > 0) return this.#draft.put(this.#tables.shares, number, key(undefined, left));
    if (shares !== undefined) this.#draft.remove(this.#tables.shares, number);
    this.#draft.remove(this.#tables.payloads, number);
  }
}
