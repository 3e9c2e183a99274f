/** A SQL backend with the scripts that run on it: what the routes work on. */

import { type Backend, type Env, readInteger } from "@mikcar/core";
import type { SqlBackend } from "./backend.ts";
import { type ScriptLimits, Scripts } from "./scripts.ts";

export interface Database extends Backend {
  readonly backend: SqlBackend;
  readonly scripts: Scripts;
}

/** Gives a backend its scripts. Closing the database closes both. */
export function database(backend: SqlBackend, limits: ScriptLimits = scriptLimits({})): Database {
  const scripts = new Scripts(backend, limits);
  return {
    backend,
    scripts,
    gauges: () => [...(backend.gauges?.() ?? []), ...scripts.gauges()],
    ping: () => backend.ping(),
    close: async () => {
      await scripts.close();
      await backend.close();
    },
  };
}

/**
 * `SQL_SCRIPT_TIMEOUT_MS` (5000), `SQL_SCRIPT_MEMORY_MB` (64), `SQL_SCRIPT_MAX_QUERIES` (1000), `SQL_SCRIPT_CONCURRENCY`
 * (twice the cores, 2 to 8). @throws CONFIG_ERROR naming the variable.
 */
export function scriptLimits(env: Env): ScriptLimits {
  return {
    timeoutMs: readInteger(env, "SQL_SCRIPT_TIMEOUT_MS", 5000, 10, 3_600_000),
    memoryMb: readInteger(env, "SQL_SCRIPT_MEMORY_MB", 64, 8, 4096),
    maxQueries: readInteger(env, "SQL_SCRIPT_MAX_QUERIES", 1000, 1, 1_000_000),
    concurrency: readInteger(env, "SQL_SCRIPT_CONCURRENCY", Math.min(8, navigator.hardwareConcurrency * 2), 1, 256),
  };
}
