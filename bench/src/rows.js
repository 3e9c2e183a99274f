/** What is measured: for each row the server's environment, what it is seeded with, and the calls of the load. */
const KEYS = 10000;
const JSON_TYPE = { "Content-Type": "application/json" };
const VALUE = "v".repeat(100);
const KIB = Buffer.alloc(1024, "k");
const MIB = Buffer.alloc(1024 * 1024, "m");
const memory = { KV_URL: "memory://", STORAGE_URL: "memory://" };
const files = {};
/** A walk over the keys that visits them in no order a cache would like. */
function scattered(count) {
  return Array.from({ length: count }, (_, index) => (index * 7919) % KEYS);
}
function setBatches() {
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
function putObjects(count, body) {
  return Array.from({ length: count }, (_, index) => ({
    method: "PUT",
    path: `/storage/object/seed/${index}.bin`,
    body,
  }));
}
const getKeys = scattered(1000).map((key) => ({ method: "GET", path: `/kv/get/key-${key}` }));
const setKeys = scattered(1000).map((key) => ({
  method: "POST",
  path: `/kv/set/key-${key}`,
  body: VALUE,
}));
const batch = {
  method: "POST",
  path: "/kv/get/batch",
  headers: JSON_TYPE,
  body: JSON.stringify({ keys: scattered(100).map((key) => `key-${key}`) }),
};
function getObjects(count) {
  return Array.from({ length: count }, (_, index) => ({ method: "GET", path: `/storage/object/seed/${index}.bin` }));
}
function putMany(count, body) {
  return Array.from({ length: count }, (_, index) => ({
    method: "PUT",
    path: `/storage/object/load/${index}.bin`,
    body,
  }));
}
// prettier-ignore
export const rows = [
    { name: "health", goal: 1.1, env: memory, seed: [], requests: [{ method: "GET", path: "/health" }] },
    { name: "kv-get-memory", goal: 1.15, env: memory, seed: setBatches(), requests: getKeys },
    { name: "kv-get-file", goal: 1.2, env: files, seed: setBatches(), requests: getKeys },
    { name: "kv-set-file", goal: 1.6, env: files, seed: setBatches(), requests: setKeys },
    { name: "kv-increment-file", goal: 1.8, env: files, seed: [], requests: [{ method: "POST", path: "/kv/increment/counter" }] },
    { name: "kv-get-batch-100-file", goal: 3.5, env: files, seed: setBatches(), requests: [batch] },
    { name: "storage-get-1k-file", goal: 2.2, env: files, seed: putObjects(100, KIB), requests: getObjects(100) },
    { name: "storage-get-1m-file", goal: 15, env: files, seed: putObjects(20, MIB), requests: getObjects(20) },
    { name: "storage-put-1k-file", goal: 6, env: files, seed: [], requests: putMany(1000, KIB) },
    { name: "storage-put-1m-file", goal: 25, env: files, seed: [], requests: putMany(100, MIB) },
];
