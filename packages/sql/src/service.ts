import { join } from "node:path";
import { defineService, fileUrl, type Open, type Service } from "@mikcar/core";
import type { SqlBackend } from "./backend.ts";
import { database, type Database, scriptLimits } from "./database.ts";
import { routes } from "./routes.ts";

type Load<B> = () => Promise<{ readonly open: Open<B> }>;

const postgres = withScripts(() => import("./backends/postgres/index.ts"));

const backends = {
  postgres,
  postgresql: postgres,
  sqlite: withScripts(() => import("./backends/sqlite/index.ts")),
};

/** The SQL service; see `docs/contract.md`, section 5. Scripts have the limits of the `SQL_SCRIPT_*` variables. */
export const SqlService: Service<Database> = defineService<Database>({
  name: "sql",
  env: "DATABASE_URL",
  summary: "SQL database",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "sql.db")).replace("file:", "sqlite:"),
  sharing: ({ scheme, path }) => (scheme !== "sqlite" ? "each" : path === ":memory:" ? "none" : "one"),
});

function withScripts(load: Load<SqlBackend>): Load<Database> {
  return async () => {
    const { open } = await load();
    return { open: async (url, warn) => database(await open(url, warn), scriptLimits(process.env)) };
  };
}
