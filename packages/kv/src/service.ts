import { join } from "node:path";
import { defineService, fileUrl, type Open, type Service } from "@mikcar/core";
import type { KvBackend } from "./backend.ts";
import { routes } from "./routes.ts";

const lmdb = (): Promise<{ readonly open: Open<KvBackend> }> => import("./backends/lmdb/index.ts");
const redis = (): Promise<{ readonly open: Open<KvBackend> }> => import("./backends/redis/index.ts");

const backends = {
  memory: () => import("./backends/memory.ts"),
  file: lmdb,
  lmdb,
  redb: lmdb,
  redis,
  rediss: redis,
  "redis+cluster": redis,
};

/** The key-value service; see `docs/contract.md`, section 4. */
export const KvService: Service<KvBackend> = defineService<KvBackend>({
  name: "kv",
  env: "KV_URL",
  summary: "Key-value store",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "kv.lmdb")),
  sharing: ({ scheme }) => (scheme === "memory" ? "none" : "each"),
});
