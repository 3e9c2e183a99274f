import { afterAll, beforeAll } from "@jest/globals";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import pg from "pg";
import { sqlContract } from "./contract.ts";

let server: PostgresServer;
let observer: pg.Client;
beforeAll(async () => {
  server = await startPostgres();
  observer = new pg.Client(server.url);
  await observer.connect();
}, 60_000);
afterAll(async () => {
  await observer.end();
  await server.remove();
});

sqlContract("Postgres", {
  freshUrl: () => server.freshUrl(),
  endless: "SELECT pg_sleep(1000)",
  isBusy: async () => {
    const { rows } = await observer.query(
      "SELECT 1 FROM pg_stat_activity WHERE state <> 'idle' AND application_name = 'mikcar'",
    );
    return rows.length > 0;
  },
});
