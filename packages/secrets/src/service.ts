import { join } from "node:path";
import { defineService, fileUrl, type Open, type Service } from "@mikcar/core";
import type { SecretsBackend } from "./backend.ts";
import { cached, cacheSeconds } from "./cached.ts";
import { routes } from "./routes.ts";

type Load = () => Promise<{ readonly open: Open<SecretsBackend> }>;

const awssm = withCache(() => import("./backends/awssm/index.ts"));
const gcpsm = withCache(() => import("./backends/gcpsm/index.ts"));

const backends = {
  memory: withCache(() => import("./backends/memory.ts")),
  env: withCache(() => import("./backends/env.ts")),
  file: withCache(() => import("./backends/file/index.ts")),
  vault: withCache(() => import("./backends/vault/index.ts")),
  awssm,
  "aws-sm": awssm,
  gcpsm,
  "gcp-sm": gcpsm,
};

/** The secrets service; see `docs/contract.md`, section 7. `SECRETS_CACHE_SECONDS` keeps what was read for so long. */
export const SecretsService: Service<SecretsBackend> = defineService<SecretsBackend>({
  name: "secrets",
  env: "SECRETS_URL",
  summary: "Secrets",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "secrets.enc")),
});

function withCache(load: Load): Load {
  return async () => {
    const { open } = await load();
    return { open: async (url, warn) => cached(await open(url, warn), cacheSeconds(process.env)) };
  };
}
