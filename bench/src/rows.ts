/** What is measured: for each row the server's environment, what it is seeded with, and the calls of the load. */

export interface Request {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Row {
  readonly name: string;
  /** Floors to reach, from the project's goals. */
  readonly goal: number;
  readonly env: Readonly<Record<string, string>>;
  /** Called over a Unix socket. */
  readonly overSocket?: boolean;
  /** Runs on a Postgres that is started for it. */
  readonly needsPostgres?: boolean;
  /** Runs its kv and its queue on a Redis that is started for it. */
  readonly needsRedis?: boolean;
  /** Runs its queue on a RabbitMQ that is started for it. */
  readonly needsRabbitmq?: boolean;
  readonly seed: readonly Request[];
  /** Sent again and again, each connection from the first on. */
  readonly requests: readonly Request[];
}

const KEYS = 10_000;
const JSON_TYPE = { "Content-Type": "application/json" };
const VALUE = "v".repeat(100);
const KIB = Buffer.alloc(1024, "k");
const MIB = Buffer.alloc(1024 * 1024, "m");

const memory = { KV_URL: "memory://", SECRETS_URL: "memory://", STORAGE_URL: "memory://" };
const files = {};

/** A walk over the keys that visits them in no order a cache would like. */
function scattered(count: number): number[] {
  return Array.from({ length: count }, (_, index) => (index * 7919) % KEYS);
}

function setBatches(): Request[] {
  return Array.from({ length: KEYS / 1000 }, (_, batch) => {
    const entries = Array.from({ length: 1000 }, (_unused, index) => [`key-${batch * 1000 + index}`, VALUE]);
    return {
      method: "POST",
      path: "/kv/set/batch",
      headers: JSON_TYPE,
      body: JSON.stringify(Object.fromEntries(entries)),
    };
  });
}

function putObjects(count: number, body: Buffer): Request[] {
  return Array.from({ length: count }, (_, index) => ({
    method: "PUT",
    path: `/storage/object/seed/${index}.bin`,
    body,
  }));
}

const getKeys: readonly Request[] = scattered(1000).map((key) => ({ method: "GET", path: `/kv/get/key-${key}` }));
const setKeys: readonly Request[] = scattered(1000).map((key) => ({
  method: "POST",
  path: `/kv/set/key-${key}`,
  body: VALUE,
}));
const batch: Request = {
  method: "POST",
  path: "/kv/get/batch",
  headers: JSON_TYPE,
  body: JSON.stringify({ keys: scattered(100).map((key) => `key-${key}`) }),
};

const secret: Request = {
  method: "POST",
  path: "/secrets/secret/db/password",
  headers: JSON_TYPE,
  body: JSON.stringify({ value: VALUE }),
};

function getObjects(count: number): Request[] {
  return Array.from({ length: count }, (_, index) => ({ method: "GET", path: `/storage/object/seed/${index}.bin` }));
}

function putMany(count: number, body: Buffer): Request[] {
  return Array.from({ length: count }, (_, index) => ({
    method: "PUT",
    path: `/storage/object/load/${index}.bin`,
    body,
  }));
}

function sqlCall(path: string, body: unknown): Request {
  return { method: "POST", path: `/sql/${path}`, headers: JSON_TYPE, body: JSON.stringify(body) };
}

const items = [
  sqlCall("execute", { sql: "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT NOT NULL, stock BIGINT NOT NULL)" }),
  sqlCall("batch", {
    statements: Array.from({ length: KEYS / 100 }, (_, part) => ({
      sql: `INSERT INTO items VALUES ${Array.from({ length: 100 }, (_unused, at) => `(${part * 100 + at}, 'item ${at}', ${at})`).join()}`,
    })),
  }),
];
const insertTable = [sqlCall("execute", { sql: "CREATE TABLE entries (id BIGINT, note TEXT)" })];
const queries = scattered(1000).map((id) =>
  sqlCall("query", { sql: "SELECT id, name, stock FROM items WHERE id = $1", params: [id] }),
);
const inserts = scattered(1000).map((id) =>
  sqlCall("execute", { sql: "INSERT INTO entries (id, note) VALUES ($1, $2)", params: [id, "a note"] }),
);
const SCRIPT = `export default function ({ one, other }) {
  const [a] = sql.query("SELECT stock FROM items WHERE id = $1", [one]);
  const [b] = sql.query("SELECT stock FROM items WHERE id = $1", [other]);
  return { sum: a.stock + b.stock };
}`;
const scripts = scattered(1000).map((id) =>
  sqlCall("script", { script: SCRIPT, input: { one: id, other: (id + 1) % KEYS } }),
);

const pushes: readonly Request[] = Array.from({ length: 16 }, (_, queue) => push(queue));
/** So many that no run comes to their end. */
const pushBatches: readonly Request[] = Array.from({ length: 192 }, (_, index) => ({
  method: "POST",
  path: `/queue/push/queue-${index % 16}/batch`,
  headers: JSON_TYPE,
  body: JSON.stringify({ messages: Array.from({ length: 1000 }, () => ({ note: VALUE })) }),
}));
const pops: readonly Request[] = Array.from({ length: 16 }, (_, queue) => pop(queue));
/** A goal for the pair is twice that of a request. */
const pairs: readonly Request[] = Array.from({ length: 16 }, (_, queue) => [push(queue), pop(queue)]).flat();

function push(queue: number): Request {
  return { method: "POST", path: `/queue/push/queue-${queue}`, body: JSON.stringify({ note: VALUE }) };
}

function pop(queue: number): Request {
  return { method: "GET", path: `/queue/pop/queue-${queue}?timeout=10` };
}

// prettier-ignore
export const rows: readonly Row[] = [
  { name: "health",                    goal: 1.1,  env: memory, seed: [], requests: [{ method: "GET", path: "/health" }] },
  { name: "kv-get-memory",             goal: 1.15, env: memory, seed: setBatches(), requests: getKeys },
  { name: "kv-get-memory-socket",      goal: 1.15, env: memory, overSocket: true, seed: setBatches(), requests: getKeys },
  { name: "kv-get-file",               goal: 1.2,  env: files,  seed: setBatches(), requests: getKeys },
  { name: "kv-set-file",               goal: 1.6,  env: files,  seed: setBatches(), requests: setKeys },
  { name: "kv-increment-file",         goal: 1.8,  env: files,  seed: [], requests: [{ method: "POST", path: "/kv/increment/counter" }] },
  { name: "kv-get-batch-100-file",     goal: 3.5,  env: files,  seed: setBatches(), requests: [batch] },
  { name: "kv-get-redis",              goal: 1.8,  env: files,  needsRedis: true, seed: setBatches(), requests: getKeys },
  { name: "kv-set-redis",              goal: 1.8,  env: files,  needsRedis: true, seed: setBatches(), requests: setKeys },
  { name: "kv-get-batch-100-redis",    goal: 4,    env: files,  needsRedis: true, seed: setBatches(), requests: [batch] },
  { name: "secret-get-memory",         goal: 1.3,  env: memory, seed: [secret], requests: [{ method: "GET", path: "/secrets/secret/db/password" }] },
  { name: "storage-get-1k-file",       goal: 2.2,  env: files,  seed: putObjects(100, KIB), requests: getObjects(100) },
  { name: "storage-get-1m-file",       goal: 15,   env: files,  seed: putObjects(20, MIB), requests: getObjects(20) },
  { name: "storage-put-1k-file",       goal: 6,    env: files,  seed: [], requests: putMany(1000, KIB) },
  { name: "storage-put-1m-file",       goal: 25,   env: files,  seed: [], requests: putMany(4, MIB) },
  { name: "sql-query-key-postgres",    goal: 2.6,  env: files,  needsPostgres: true, seed: items, requests: queries },
  { name: "sql-insert-postgres",       goal: 3,    env: files,  needsPostgres: true, seed: insertTable, requests: inserts },
  { name: "sql-query-key-sqlite",      goal: 2,    env: files,  seed: items, requests: queries },
  { name: "queue-push-redis",          goal: 1.8,  env: files,  needsRedis: true, seed: [], requests: pushes },
  { name: "queue-pop-redis",           goal: 2,    env: files,  needsRedis: true, seed: pushBatches, requests: pops },
  { name: "queue-push-pop-redis",      goal: 2,    env: files,  needsRedis: true, seed: [], requests: pairs },
  { name: "queue-push-rabbitmq",       goal: 1.7,  env: files,  needsRabbitmq: true, seed: [], requests: pushes },
  { name: "queue-pop-rabbitmq",        goal: 2,    env: files,  needsRabbitmq: true, seed: pushBatches, requests: pops },
  { name: "queue-push-pop-rabbitmq",   goal: 2,    env: files,  needsRabbitmq: true, seed: [], requests: pairs },
  { name: "sql-script-postgres",       goal: 12,   env: files,  needsPostgres: true, seed: items, requests: scripts },
];
