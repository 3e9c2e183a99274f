/** How the ledger writes its keys and records: numbers with their high byte first, so that they sort as they count. */

import type { Source } from "../backend.ts";

/** Of a number in a key: up to 2^48, which holds the milliseconds of some 8 900 years. */
const NUMBER_BYTES = 6;
const END = Buffer.from([0xff]); // no key continues with it: numbers stay far below, and no UTF-8 has this byte

/** The beginning of every key of a source. No name holds a control character, so the zeros tell where one ends. */
export function sourcePrefix({ name, group }: Source): Buffer {
  return Buffer.from(group === undefined ? `q${name}\0` : `t${name}\0${group}\0`);
}

/** The beginning of the prefixes of all groups of a topic. */
export function topicPrefix(topic: string): Buffer {
  return Buffer.from(`t${topic}\0`);
}

/** `prefix` followed by numbers. */
export function key(prefix: Buffer | undefined, ...numbers: readonly number[]): Buffer {
  const at = prefix?.length ?? 0;
  const bytes = Buffer.allocUnsafe(at + numbers.length * NUMBER_BYTES);
  prefix?.copy(bytes);
  for (let index = 0; index < numbers.length; index++) {
    bytes.writeUIntBE(numbers[index] as number, at + index * NUMBER_BYTES, NUMBER_BYTES);
  }
  return bytes;
}

/** All keys that begin with `prefix`; with `until`, those whose first number is not above it. */
export function range(prefix: Buffer, until?: number): { readonly start: Buffer; readonly end: Buffer } {
  return { start: prefix, end: until === undefined ? Buffer.concat([prefix, END]) : key(prefix, until + 1) };
}

/** The numbers at the end of a key, or in a record of numbers alone. */
export function numberAt(bytes: Buffer, index: number): number {
  const at = index < 0 ? bytes.length + index * NUMBER_BYTES : index * NUMBER_BYTES;
  return bytes.readUIntBE(at, NUMBER_BYTES);
}

/** What is known of a source without looking at its messages. */
export interface State {
  waiting: number;
  leased: number;
  delayed: number;
  dead: number;
  /** No delayed message and no lease is due before it, in milliseconds since 1970; 0: there is none. */
  nextDue: number;
}

export function readState(bytes: Buffer | undefined): State {
  if (bytes === undefined) return { waiting: 0, leased: 0, delayed: 0, dead: 0, nextDue: 0 };
  return {
    waiting: numberAt(bytes, 0),
    leased: numberAt(bytes, 1),
    delayed: numberAt(bytes, 2),
    dead: numberAt(bytes, 3),
    nextDue: numberAt(bytes, 4),
  };
}

export function writeState({ waiting, leased, delayed, dead, nextDue }: State): Buffer {
  return key(undefined, waiting, leased, delayed, dead, nextDue);
}

/** A message of a source, wherever it lies there. */
export interface Entry {
  /** Names it, and its payload. */
  readonly seq: number;
  /** Its place among the waiting ones. */
  readonly order: number;
  /** How often it was handed out so far. */
  readonly deliveries: number;
}

export function writeEntry({ seq, order, deliveries }: Entry): Buffer {
  return key(undefined, seq, order, deliveries);
}

export function readEntry(bytes: Buffer): Entry {
  return { seq: numberAt(bytes, 0), order: numberAt(bytes, 1), deliveries: numberAt(bytes, 2) };
}

export interface Lease extends Entry {
  readonly deadline: number;
}

export function writeLease({ seq, order, deliveries, deadline }: Lease): Buffer {
  return key(undefined, seq, order, deliveries, deadline);
}

export function readLease(bytes: Buffer): Lease {
  return { ...readEntry(bytes), deadline: numberAt(bytes, 3) };
}

export interface Death extends Entry {
  readonly diedAt: number;
  readonly reason: string;
}

export function writeDeath({ seq, order, deliveries, diedAt, reason }: Death): Buffer {
  return Buffer.concat([key(undefined, seq, order, deliveries, diedAt), Buffer.from(reason)]);
}

export function readDeath(bytes: Buffer): Death {
  return { ...readEntry(bytes), diedAt: numberAt(bytes, 3), reason: bytes.toString("utf8", 4 * NUMBER_BYTES) };
}
