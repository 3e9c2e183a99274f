import { join } from "node:path";
import { defineService, fileUrl } from "@mikcar/core";
import type { StorageBackend } from "./backend.ts";
import { routes } from "./routes.ts";

const backends = {
  memory: () => import("./backends/memory.ts"),
  file: () => import("./backends/file/index.ts"),
  s3: () => import("./backends/s3/index.ts"),
  az: () => import("./backends/az/index.ts"),
  minio: () => import("./backends/minio/index.ts"),
  gs: () => import("./backends/gs/index.ts"),
};

/** Object storage at `/storage`, on the backend that `STORAGE_URL` names. */
export const StorageService = defineService<StorageBackend>({
  name: "storage",
  env: "STORAGE_URL",
  summary: "Object storage: streamed reads and writes, ranges, conditions, listings",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "storage")),
  sharing: ({ scheme }) => (scheme === "memory" ? "none" : scheme === "file" ? "one" : "each"),
});
