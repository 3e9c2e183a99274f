/** What a key-value backend does. Keys arrive checked; values are bytes of any length, none included. */

import type { Backend, Preconditions } from "@mikcar/core";
import type { Glob } from "./glob.ts";

/** Holds of the value under `key`, or the whole transaction changes nothing. Tags are those of `eTag()`. */
export interface Condition extends Preconditions {
  readonly key: string;
}

/** `ttlSeconds` counts from the moment the transaction is applied; absent: no expiry. */
export type Operation =
  | { readonly type: "set"; readonly key: string; readonly value: Buffer; readonly ttlSeconds?: number | undefined }
  | { readonly type: "delete"; readonly key: string }
  /** An absent key counts as 0, and only then `ttlSeconds` is used; otherwise the expiry is kept. */
  | { readonly type: "increment"; readonly key: string; readonly by: bigint; readonly ttlSeconds?: number | undefined }
  /** 0 or less deletes; undefined removes the expiry. */
  | { readonly type: "expire"; readonly key: string; readonly ttlSeconds: number | undefined };

export interface Transaction {
  readonly conditions: readonly Condition[];
  /** Applied in order; a later one sees what an earlier one did. */
  readonly operations: readonly Operation[];
}

/** For each operation: whether the key was there (`delete`, `expire`), the new number (`increment`), true (`set`). */
export type Result = boolean | bigint;

export interface KeyPage {
  readonly keys: readonly string[];
  /** Continues behind this page; undefined at the end. Opaque to callers, and valid after a restart. */
  readonly cursor: string | undefined;
}

/** What has become of a key: it has a new value, was deleted, or has expired. */
export interface Change {
  readonly type: "set" | "del" | "expired";
  readonly key: string;
}

/** An expired key is absent to every method, from the millisecond of its expiry on. */
export interface KvBackend extends Backend {
  get(key: string): Promise<Buffer | undefined>;
  /** In the order of `keys`. */
  getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]>;
  exists(key: string): Promise<boolean>;
  /** Milliseconds since 1970; Infinity without an expiry, undefined when absent. */
  expiresAt(key: string): Promise<number | undefined>;
  /**
   * All or nothing, atomic towards every other call, and durable when it resolves.
   * @throws PRECONDITION_FAILED with `details.key` when a condition does not hold; CONFLICT when the value to increment
   * is no 64-bit integer, or the sum would be none.
   */
  transact(transaction: Transaction): Promise<readonly Result[]>;
  /** Every match in byte order, in portions. Its cost follows the keys that share the literal beginning of the glob. */
  listKeys(glob: Glob): AsyncIterable<readonly string[]>;
  /** At most `limit` matches. @throws BAD_REQUEST for a cursor that this backend has not given. */
  pageKeys(glob: Glob, limit: number, cursor: string | undefined): Promise<KeyPage>;
  /**
   * What happens to matching keys from the moment it resolves until `ending` aborts, in order, in batches as they are read;
   * an expiry when its space is reclaimed, or the key written anew. The iteration throws UNAVAILABLE when changes may have
   * been missed, and TOO_MANY_REQUESTS when more than some thousand of them wait to be read.
   * @throws UNSUPPORTED when the store does not tell.
   */
  watch(glob: Glob, ending: AbortSignal): Promise<AsyncIterable<readonly Change[]>>;
}
