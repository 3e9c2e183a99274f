/** Values kept for some seconds, for those who ask for it: `SECRETS_CACHE_SECONDS`. */

import { type Env, readInteger } from "@mikcar/core";
import type { Secret, SecretsBackend } from "./backend.ts";

const DAY_SECONDS = 86_400;
const MAX_CACHED = 1000;

/** `SECRETS_CACHE_SECONDS`: 0, as when it is absent, for no cache; at most a day. @throws CONFIG_ERROR naming the variable. */
export function cacheSeconds(env: Env): number {
  return readInteger(env, "SECRETS_CACHE_SECONDS", 0, 0, DAY_SECONDS);
}

/**
 * The backend, with the newest version of each secret that was read kept for so long, at most 1000 of them. What this
 * process writes is seen at once; what others write, when the time is over.
 */
export function cached(backend: SecretsBackend, seconds: number): SecretsBackend {
  return seconds === 0 ? backend : withCache(backend, seconds * 1000);
}

function withCache(backend: SecretsBackend, keepMs: number): SecretsBackend {
  const kept = new Map<string, { readonly secret: Secret; readonly until: number }>();
  /** A read that began before a write must not be kept after it. */
  let writes = 0;
  const forgetting = async <T>(name: string, write: () => Promise<T>): Promise<T> => {
    try {
      return await write();
    } finally {
      writes++;
      kept.delete(name);
    }
  };
  const read = async (name: string): Promise<Secret | undefined> => {
    const found = kept.get(name);
    if (found !== undefined && found.until > performance.now()) return found.secret;
    const [writesBefore, until] = [writes, performance.now() + keepMs];
    const secret = await backend.read(name);
    kept.delete(name);
    if (secret === undefined || writes !== writesBefore) return secret;
    if (kept.size >= MAX_CACHED) kept.delete(kept.keys().next().value ?? "");
    kept.set(name, { secret, until });
    return secret;
  };
  return {
    ping: () => backend.ping(),
    close: () => {
      kept.clear();
      return backend.close();
    },
    read: (name, version) => (version === undefined ? read(name) : backend.read(name, version)),
    create: (name, value, labels) => forgetting(name, () => backend.create(name, value, labels)),
    update: (name, value, labels) => forgetting(name, () => backend.update(name, value, labels)),
    remove: (name) => forgetting(name, () => backend.remove(name)),
    exists: (name) => backend.exists(name),
    list: (prefix, page) => backend.list(prefix, page),
    versions: (name) => backend.versions(name),
  };
}
