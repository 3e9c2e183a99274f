/** The calls that tests make again and again, in one line each. */

import type { Condition, KvBackend, Operation, Result } from "../src/backend.ts";
import { glob } from "../src/glob.ts";

/** The backend of the test that runs. */
export type Current = () => KvBackend;

export async function set(kv: KvBackend, key: string, value: string | Buffer, ttlSeconds?: number): Promise<void> {
  await run(kv, { type: "set", key, value: Buffer.from(value), ttlSeconds });
}

export async function increment(kv: KvBackend, key: string, by = 1n, ttlSeconds?: number): Promise<Result | undefined> {
  return (await run(kv, { type: "increment", key, by, ttlSeconds }))[0];
}

export async function expire(kv: KvBackend, key: string, ttlSeconds?: number): Promise<Result | undefined> {
  return (await run(kv, { type: "expire", key, ttlSeconds }))[0];
}

export async function remove(kv: KvBackend, key: string): Promise<Result | undefined> {
  return (await run(kv, { type: "delete", key }))[0];
}

/** One transaction without conditions. */
export function run(kv: KvBackend, ...operations: readonly Operation[]): Promise<readonly Result[]> {
  return kv.transact({ conditions: [], operations });
}

export function runIf(kv: KvBackend, condition: Condition, ...operations: readonly Operation[]): Promise<unknown> {
  return kv.transact({ conditions: [condition], operations });
}

export async function text(kv: KvBackend, key: string): Promise<string | undefined> {
  return (await kv.get(key))?.toString();
}

export async function list(kv: KvBackend, pattern = "*"): Promise<string[]> {
  const keys: string[] = [];
  for await (const more of kv.listKeys(glob(pattern))) keys.push(...more);
  return keys;
}

/** All keys, page by page. */
export async function listPages(kv: KvBackend, pattern: string, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await kv.pageKeys(glob(pattern), limit, cursor);
    pages.push([...page.keys]);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return pages;
}

/** Stores keys with an empty value, a thousand a transaction. */
export async function fill(kv: KvBackend, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 1000) {
    const part = keys.slice(at, at + 1000);
    await run(kv, ...part.map((key): Operation => ({ type: "set", key, value: Buffer.alloc(0) })));
  }
}
