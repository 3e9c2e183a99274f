/** A store as plain as can be: what the backends are held against. It knows nothing of the code under test. */

import { createHash } from "node:crypto";
import type { Condition, Operation, Result, Transaction } from "../src/backend.ts";

interface Held {
  readonly value: Buffer;
  readonly expiresAt: number;
}

export class Model {
  #held = new Map<string, Held>();
  now: number;

  constructor(now: number) {
    this.now = now;
  }

  get(key: string): Held | undefined {
    const held = this.#held.get(key);
    return held !== undefined && held.expiresAt > this.now ? held : undefined;
  }

  keys(prefix: string): string[] {
    const live = [...this.#held.keys()].filter((key) => key.startsWith(prefix) && this.get(key) !== undefined);
    return live.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** The results, or the code of the error; nothing is changed then. */
  transact({ conditions, operations }: Transaction): readonly Result[] | string {
    if (!conditions.every((condition) => this.#holds(condition))) return "PRECONDITION_FAILED";
    const before = new Map(this.#held);
    try {
      return operations.map((operation) => this.#apply(operation));
    } catch {
      this.#held = before; // the only throw is that of a number that is none
      return "CONFLICT";
    }
  }

  #holds({ key, ifMatch, ifNoneMatch }: Condition): boolean {
    const held = this.get(key);
    const tag = held && createHash("sha1").update(held.value).digest("hex");
    const isIn = (tags: "*" | readonly string[]): boolean => tag !== undefined && (tags === "*" || tags.includes(tag));
    return (ifMatch === undefined || isIn(ifMatch)) && (ifNoneMatch === undefined || !isIn(ifNoneMatch));
  }

  #apply(operation: Operation): Result {
    const { type, key } = operation;
    const held = this.get(key);
    if (type === "delete") {
      this.#held.delete(key);
      return held !== undefined;
    }
    const { ttlSeconds } = operation;
    const expiresAt = ttlSeconds === undefined ? Infinity : this.now + ttlSeconds * 1000;
    if (type === "set") {
      this.#held.set(key, { value: operation.value, expiresAt });
      return true;
    }
    if (type === "expire") {
      if (held === undefined) return false;
      if (expiresAt <= this.now) this.#held.delete(key);
      else this.#held.set(key, { value: held.value, expiresAt });
      return true;
    }
    const sum = number(held?.value ?? Buffer.from("0")) + operation.by;
    if (BigInt.asIntN(64, sum) !== sum) throw new RangeError();
    this.#held.set(key, { value: Buffer.from(`${sum}`), expiresAt: held?.expiresAt ?? expiresAt });
    return sum;
  }
}

function number(value: Buffer): bigint {
  const text = value.toString();
  const parsed = /^-?[0-9]+$/.test(text) ? BigInt(text) : undefined;
  if (parsed === undefined || BigInt.asIntN(64, parsed) !== parsed) throw new RangeError();
  return parsed;
}
