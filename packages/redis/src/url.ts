/** The URL of a Redis, as its client wants to hear it. */

import { readFileSync } from "node:fs";
import { type ConfigUrl, configError, type Host } from "@mikcar/core";
import type { RedisClientOptions } from "@redis/client";

export interface RedisConfig {
  /** One; or, of a cluster, those to ask for the others. */
  readonly hosts: readonly Host[];
  readonly isCluster: boolean;
  /** For every server alike. */
  readonly client: RedisClientOptions;
  readonly tls: { readonly ca?: string } | undefined;
  /** How long a call may take, and a connection until it is made. */
  readonly timeoutMs: number;
}

const TLS_SCHEMES = new Set(["rediss", "redis+cluster"]);

/**
 * `redis://[user[:password]@]host[:6379][/database]`, `rediss:` with TLS, `redis+cluster://[user[:password]@]h1,h2:7000`.
 * `timeout_ms` (5000); `ca`: a PEM file of whom to trust beside no one else; `tls` for a cluster.
 * Parameters beyond these are for the caller to read. @throws CONFIG_ERROR naming the part.
 */
export function readRedisUrl(url: ConfigUrl): RedisConfig {
  const isCluster = url.scheme === "redis+cluster";
  const timeoutMs = url.integer("timeout_ms", 5000, { min: 1, max: 600_000 });
  const ca = TLS_SCHEMES.has(url.scheme) ? url.string("ca", "") : "";
  const isTls = url.scheme === "rediss" || (isCluster && url.flag("tls", ca !== ""));
  const { username, password } = url.credentials ?? {};
  const client: RedisClientOptions = {
    ...(username === undefined || username === "" ? {} : { username }),
    ...(password === undefined || password === "" ? {} : { password }),
    database: database(url, isCluster),
  };
  if (ca !== "" && !isTls) throw configError('parameter "ca" is there and "tls" is false; leave one of them out');
  const tls = isTls ? (ca === "" ? {} : { ca: readFile(ca) }) : undefined;
  const hosts = url.hosts.map(({ host, port }) => ({ host: host.replace(/^\[(.*)\]$/, "$1") || "localhost", port }));
  return { hosts, isCluster, client, tls, timeoutMs };
}

function database({ path, scheme }: ConfigUrl, isCluster: boolean): number {
  const text = path.replace(/^\//, "");
  if (text === "") return 0;
  if (!/^\d{1,5}$/.test(text))
    throw configError(`${scheme}: the path is "${text}"; expected the number of a database, /0`);
  if (isCluster && Number(text) !== 0) throw configError(`${scheme}: a cluster has the database 0 alone`);
  return Number(text);
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "ca": the file "${path}" cannot be read`, { cause });
  }
}
