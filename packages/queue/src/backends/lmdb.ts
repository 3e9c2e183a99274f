/**
 * Queues in one LMDB file: `file:///path/queue.lmdb`, also `lmdb:`; a path without a leading slash is relative.
 * `sync`: default true, a message is on the disk when its push is answered; false trades that away for speed.
 * `max_deliveries`: how often a message is handed out before it is dead; default 5.
 * Processes may share the file. Deleting frees pages for reuse; the file itself does not shrink.
 */

import { randomBytes } from "node:crypto";
import { configError, type Open } from "@mikcar/core";
import { type Draft, type Environment, openEnvironment, type Table } from "@mikcar/lmdb";
import type { QueueBackend } from "../backend.ts";
import { LedgerQueue, type Store } from "../ledger/queue.ts";
import { limits } from "../limits.ts";

export const open: Open<QueueBackend> = async (url, warn) => {
  const sync = url.flag("sync", true);
  const settings = limits(url);
  url.refuseUnread();
  if (url.path === "")
    throw configError(`${url.scheme}: the path of the file is missing; write file:///path/queue.lmdb`);
  const environment = openEnvironment(url.path, { sync });
  if (!sync) warn?.("sync=false: what is acknowledged survives the end of this process, but not that of the machine");
  return new LedgerQueue(new LmdbStore(environment), settings).begin(randomBytes(4).toString("hex"));
};

/** How long another process's push takes at most to be noticed, and how small a part of the time looking for it may be. */
const LOOK_MS = 30;
const LOOK_SHARE = 0.05;

class LmdbStore implements Store {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  table(name: string): Table {
    return this.#environment.table(name);
  }

  commit<T>(step: (draft: Draft) => T): Promise<T> {
    return this.#environment.commit(step);
  }

  close(): Promise<void> {
    return this.#environment.close();
  }

  /**
   * Looks at the generation of the file, which costs some µs and a turn of the loop: the system's own notices of a changed file come before
   * the change can be read, and only then.
   */
  watch(look: () => void): () => void {
    let seen = this.#environment.foreignCommits();
    let timer: NodeJS.Timeout;
    const compare = (): void => {
      const begin = performance.now();
      const now = this.#environment.foreignCommits();
      if (now !== seen) look();
      seen = now;
      timer = setTimeout(compare, Math.max(LOOK_MS, (performance.now() - begin) / LOOK_SHARE)).unref();
    };
    timer = setTimeout(compare, LOOK_MS).unref();
    return () => clearTimeout(timer);
  }
}
