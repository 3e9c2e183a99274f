/** What a transaction would do to a store that lives in this process. Nothing is written here. */

import { holds, preconditionFailed } from "@mikcar/core";
import type { Operation, Result, Transaction } from "./backend.ts";
import { add, eTag } from "./value.ts";

/** Reads live keys only: what has expired is absent. */
export interface Reader {
  value(key: string): Buffer | undefined;
  /** Milliseconds since 1970; Infinity without an expiry, undefined when absent. */
  expiresAt(key: string): number | undefined;
}

/** The new state of a key; `value` undefined: only the expiry changes. */
export interface Entry {
  readonly value: Buffer | undefined;
  readonly expiresAt: number;
}

export interface Plan {
  /** By key; undefined: removed. */
  readonly changes: ReadonlyMap<string, Entry | undefined>;
  readonly results: readonly Result[];
}

/** @param now Milliseconds since 1970. @throws as `KvBackend.transact`. */
export function plan(reader: Reader, { conditions, operations }: Transaction, now: number): Plan {
  conditions.forEach((condition, index) => {
    const value = reader.value(condition.key);
    if (holds(condition, value === undefined ? undefined : eTag(value))) return;
    throw preconditionFailed(`the condition on "${condition.key}" does not hold; nothing was changed`, {
      details: { condition: index, key: condition.key },
    });
  });
  const draft = new Draft(reader);
  const results = operations.map((operation) => apply(draft, operation, now));
  return { changes: draft.changes, results };
}

function apply(draft: Draft, operation: Operation, now: number): Result {
  const { key } = operation;
  switch (operation.type) {
    case "set":
      draft.changes.set(key, { value: operation.value, expiresAt: expiry(operation.ttlSeconds, now) });
      return true;
    case "delete":
      return draft.remove(key);
    case "increment": {
      const sum = add(key, draft.value(key), operation.by);
      const expiresAt = draft.expiresAt(key) ?? expiry(operation.ttlSeconds, now);
      draft.changes.set(key, { value: Buffer.from(sum.toString()), expiresAt });
      return sum;
    }
    case "expire": {
      if (draft.expiresAt(key) === undefined) return false;
      if (operation.ttlSeconds !== undefined && operation.ttlSeconds <= 0) return draft.remove(key);
      draft.changes.set(key, { value: draft.changes.get(key)?.value, expiresAt: expiry(operation.ttlSeconds, now) });
      return true;
    }
  }
}

function expiry(ttlSeconds: number | undefined, now: number): number {
  return ttlSeconds === undefined ? Infinity : now + ttlSeconds * 1000;
}

/** The reader's state with the changes so far over it. */
class Draft implements Reader {
  readonly changes = new Map<string, Entry | undefined>();
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  value(key: string): Buffer | undefined {
    if (!this.changes.has(key)) return this.#reader.value(key);
    const change = this.changes.get(key);
    return change === undefined ? undefined : (change.value ?? this.#reader.value(key));
  }

  expiresAt(key: string): number | undefined {
    return this.changes.has(key) ? this.changes.get(key)?.expiresAt : this.#reader.expiresAt(key);
  }

  remove(key: string): boolean {
    const existed = this.expiresAt(key) !== undefined;
    if (existed) this.changes.set(key, undefined);
    return existed;
  }
}
