/** A backend whose keys all begin with the same text, which its caller does not see. */

import type { Change, KvBackend } from "../src/backend.ts";
import type { Glob } from "../src/glob.ts";

/** @param tag Short, without characters that mean something in a pattern. Keys of 1024 bytes become longer by it. */
export function tagged(kv: KvBackend, tag: string): KvBackend {
  const under = <T extends { readonly key: string }>(part: T): T => ({ ...part, key: tag + part.key });
  const bare = (keys: readonly string[]): string[] => keys.map((key) => key.slice(tag.length));
  const inside = (inner: Glob): Glob => ({
    prefix: tag + inner.prefix,
    isPrefixOnly: inner.isPrefixOnly,
    literals: inner.literals.map((text, index) => (index === 0 ? tag + text : text)),
    matches: (key) => key.startsWith(tag) && inner.matches(key.slice(tag.length)),
  });
  async function* shown(changes: AsyncIterable<readonly Change[]>): AsyncGenerator<readonly Change[]> {
    for await (const batch of changes) yield batch.map(({ type, key }) => ({ type, key: key.slice(tag.length) }));
  }
  return {
    ping: () => kv.ping(),
    close: () => kv.close(),
    get: (key) => kv.get(tag + key),
    getMany: (keys) => kv.getMany(keys.map((key) => tag + key)),
    exists: (key) => kv.exists(tag + key),
    expiresAt: (key) => kv.expiresAt(tag + key),
    transact: ({ conditions, operations }) =>
      kv
        .transact({ conditions: conditions.map(under), operations: operations.map(under) })
        .catch((error: { details?: { key?: string } }) => {
          if (error.details?.key !== undefined) error.details.key = error.details.key.slice(tag.length);
          throw error;
        }),
    listKeys: async function* (inner) {
      for await (const keys of kv.listKeys(inside(inner))) yield bare(keys);
    },
    pageKeys: async (inner, limit, cursor) => {
      const page = await kv.pageKeys(inside(inner), limit, cursor);
      return { keys: bare(page.keys), cursor: page.cursor };
    },
    watch: async (inner, ending) => shown(await kv.watch(inside(inner), ending)),
  };
}
