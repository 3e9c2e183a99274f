/** The services that one process can carry; the only file that knows them all. */

import { type Offer, optional } from "@mikcar/core";

// prettier-ignore
export const services: readonly Offer[] = [
  { name: "storage", env: "STORAGE_URL",  summary: "Object storage",    load: () => optional("@mikcar/storage", async () => (await import("@mikcar/storage")).StorageService) },
  { name: "kv",      env: "KV_URL",       summary: "Key-value store",   load: () => optional("@mikcar/kv", async () => (await import("@mikcar/kv")).KvService) },
  { name: "sql",     env: "DATABASE_URL", summary: "SQL database",      load: () => optional("@mikcar/sql", async () => (await import("@mikcar/sql")).SqlService) },
  { name: "queue",   env: "QUEUE_URL",    summary: "Queues and topics", load: () => optional("@mikcar/queue", async () => (await import("@mikcar/queue")).QueueService) },
  { name: "secrets", env: "SECRETS_URL",  summary: "Secrets",           load: () => optional("@mikcar/secrets", async () => (await import("@mikcar/secrets")).SecretsService) },
  { name: "email",   env: "EMAIL_URL",    summary: "E-mail",            load: () => optional("@mikcar/email", async () => (await import("@mikcar/email")).EmailService) },
];
