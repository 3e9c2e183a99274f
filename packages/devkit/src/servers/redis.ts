/** A real Redis for tests: the one installed, or Debian's, or the one that `REDIS_URL` names. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../folder.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { end, launch } from "./launch.ts";
import { startProxy } from "./proxy.ts";
import { redisCommand, findRedis, redisProgram } from "./redis-program.ts";

export { type Certificate, LOCALHOST };
export { redisCommand } from "./redis-program.ts";
export { type RedisCluster, startRedisCluster } from "./redis-cluster.ts";

export interface RedisServer {
  /** Of its database 0. */
  readonly url: string;
  /** The URL of an empty database: the next of its sixteen. Whoever had it sixteen calls ago must be done with it. */
  freshUrl(): Promise<string>;
  /** One command as administrator, in database 0. */
  command(...words: readonly string[]): Promise<unknown>;
  /** In order: what was acknowledged is kept. */
  stop(): Promise<void>;
  /** As a crash: SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

export interface RedisOptions {
  /** TLS alone, with this certificate; clients need none. */
  readonly tls?: Certificate;
  readonly password?: string;
  /** `everysec` when absent: a crash may then lose a second. */
  readonly appendFsync?: "always" | "everysec";
  /** More of its settings: `["--maxmemory", "10mb"]`. */
  readonly args?: readonly string[];
}

const DATABASES = 16;
const FILE_OF = { authority: "--tls-ca-cert-file", certificate: "--tls-cert-file", key: "--tls-key-file" } as const;

/**
 * Starts a server on a free port; or, without options, uses the one that `REDIS_URL` names: its databases are emptied,
 * and in the place of stopping it, a proxy before it is stopped.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const given = process.env["REDIS_URL"];
  if (given !== undefined && given !== "" && Object.keys(options).length === 0) return external(given);
  const { tls, password, appendFsync = "everysec", args = [] } = options;
  const path = await findRedis();
  const folder = temporaryFolder();
  const port = await freePort();
  const listen = tls === undefined ? ["--port", String(port)] : tlsArgs(tls, folder.path, port);
  const settings = ["--bind", "127.0.0.1", "--dir", folder.path, "--save", "", "--appendonly", "yes"];
  const more = ["--appendfsync", appendFsync, ...(password === undefined ? [] : ["--requirepass", password]), ...args];
  const run = (): ReturnType<typeof launch> => launch(redisProgram(path, [...listen, ...settings, ...more]));
  let server = await run();
  const login = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
  const url = tls === undefined ? `redis://${login}127.0.0.1:${port}` : `rediss://${login}localhost:${port}`;
  const command = (...words: readonly string[]): Promise<unknown> => redisCommand(url, words, tls);
  return {
    url,
    freshUrl: freshDatabases(url, tls),
    command,
    stop: () => end(server, "SIGTERM"),
    kill: () => end(server, "SIGKILL"),
    start: async () => {
      server = await run();
    },
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    remove: async () => {
      await end(server, "SIGKILL"); // which ends a frozen one too
      folder.remove();
    },
  };
}

function tlsArgs(tls: Certificate, folder: string, port: number): string[] {
  const files = (["authority", "certificate", "key"] as const).flatMap((part) => {
    const file = join(folder, `${part}.pem`);
    writeFileSync(file, tls[part], { mode: 0o600 });
    return [FILE_OF[part], file];
  });
  return ["--port", "0", "--tls-port", String(port), "--tls-auth-clients", "no", ...files];
}

/** One that runs already, behind a proxy that can be stopped and frozen in its place. */
async function external(url: string): Promise<RedisServer> {
  const { hostname, port } = new URL(url);
  const proxy = await startProxy(hostname, Number(port || 6379));
  const behind = new URL(url);
  behind.hostname = "127.0.0.1";
  behind.port = String(proxy.port);
  return {
    url: behind.href,
    freshUrl: freshDatabases(behind.href),
    command: (...words) => redisCommand(url, words),
    stop: proxy.stop,
    kill: proxy.stop,
    start: proxy.start,
    freeze: () => proxy.freeze(true),
    thaw: () => proxy.freeze(false),
    remove: async () => {
      proxy.freeze(false);
      await proxy.stop();
    },
  };
}

function freshDatabases(url: string, tls?: Certificate): () => Promise<string> {
  let count = 0;
  return async () => {
    const fresh = new URL(url);
    fresh.pathname = `/${count++ % DATABASES}`;
    await redisCommand(fresh.href, ["FLUSHDB"], tls);
    return fresh.href;
  };
}
