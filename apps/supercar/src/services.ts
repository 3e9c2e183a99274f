/** The services that one process can carry; the only file that knows them all. */

import type { Offer, Startable } from "@mikcar/core";
import { configError } from "@mikcar/core";

// prettier-ignore
export const services: readonly Offer[] = [
  { name: "storage", env: "STORAGE_URL",  summary: "Object storage",  load: from("@mikcar/storage", async () => (await import("@mikcar/storage")).StorageService) },
  { name: "kv",      env: "KV_URL",       summary: "Key-value store", load: from("@mikcar/kv",      async () => (await import("@mikcar/kv")).KvService) },
  { name: "sql",     env: "DATABASE_URL", summary: "SQL database",    load: from("@mikcar/sql",     async () => (await import("@mikcar/sql")).SqlService) },
  { name: "queue",   env: "QUEUE_URL",    summary: "Queues and topics", load: from("@mikcar/queue", async () => (await import("@mikcar/queue")).QueueService) },
];

/** A package is loaded when its flag is given; one that is not installed is a sentence, not a stack trace. */
function from(name: string, load: () => Promise<Startable>): () => Promise<Startable> {
  return async () => {
    try {
      return await load();
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "ERR_MODULE_NOT_FOUND" || !message.includes(`'${name}'`)) throw cause;
      throw configError(`${name} is not installed; run: npm install ${name}`, { cause });
    }
  };
}
