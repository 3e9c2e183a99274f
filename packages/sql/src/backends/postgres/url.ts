/** The URL of a Postgres, as `pg` wants to hear it. */

import { readFileSync } from "node:fs";
import { type ConfigUrl, configError } from "@mikcar/core";
import type { PoolConfig } from "pg";

const SSL_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
type SslMode = (typeof SSL_MODES)[number];
/** What every session is set to, so that values look the same whatever the server's defaults are. */
const SESSION = ["TimeZone=UTC", "DateStyle=ISO", "bytea_output=hex", "extra_float_digits=1", "client_encoding=UTF8"];
const LOCAL_HOST = /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|)$/;
const CHANNEL_BINDING = ["disable", "prefer", "require"];

export interface PostgresConfig {
  readonly pool: PoolConfig;
  /** Falls back to a connection without TLS when the server has none. */
  readonly isTlsOptional: boolean;
}

/**
 * `postgres://user:password@host:5432/database`, with `pool` (10 connections), `sslmode` (`prefer`; on this machine
 * `disable`), `sslrootcert`, `sslcert` and `sslkey` (files), `host` (a socket folder), `application_name`, `options`,
 * `connect_timeout` (10 s), `statement_timeout_ms` (60 000; 0 for none) and `channel_binding`.
 * @throws CONFIG_ERROR naming the parameter.
 */
export function readUrl(url: ConfigUrl): PostgresConfig {
  const host = url.string("host", url.host) || "localhost";
  const isLocal = host.startsWith("/") || LOCAL_HOST.test(host);
  const mode = oneOf(url, "sslmode", SSL_MODES, isLocal ? "disable" : "prefer") as SslMode; // one of them, just checked
  const binding = oneOf(url, "channel_binding", CHANNEL_BINDING, "disable");
  const statementTimeoutMs = url.integer("statement_timeout_ms", 60_000);
  const settings = [...SESSION, `statement_timeout=${statementTimeoutMs}`, "idle_in_transaction_session_timeout=60000"];
  const options = [url.string("options", ""), ...settings.map((setting) => `-c ${setting}`)].join(" ").trim();
  const database = url.path.replace(/^\//, "");
  const { username, password } = url.credentials ?? {};

  const pool: PoolConfig = {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: url.port ?? 5432,
    ...(database === "" ? {} : { database }),
    ...(username === undefined ? {} : { user: username }),
    ...(password === undefined || password === "" ? {} : { password }),
    max: url.integer("pool", 10, { min: 1, max: 1000 }),
    connectionTimeoutMillis: url.integer("connect_timeout", 10, { min: 1, max: 300 }) * 1000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: url.string("application_name", "mikcar"),
    options,
    ssl: tls(url, mode),
    enableChannelBinding: binding !== "disable",
  };
  return { pool, isTlsOptional: mode === "prefer" };
}

/** As libpq: `require` encrypts, `verify-ca` checks who signed, `verify-full` also whom it was signed for. */
function tls(url: ConfigUrl, mode: SslMode): PoolConfig["ssl"] {
  const [ca, cert, key] = ["sslrootcert", "sslcert", "sslkey"].map((name) => file(url, name));
  if (mode === "disable") return false;
  const isChecked = mode.startsWith("verify-") || ca !== undefined;
  return {
    rejectUnauthorized: isChecked,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(mode === "verify-full" ? {} : { checkServerIdentity: anyName }),
  };
}

function anyName(): undefined {
  return undefined;
}

function file(url: ConfigUrl, name: string): string | undefined {
  const path = url.string(name, "");
  if (path === "") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "${name}": the file "${path}" cannot be read`, { cause });
  }
}

function oneOf(url: ConfigUrl, name: string, known: readonly string[], fallback: string): string {
  const value = url.string(name, fallback);
  if (known.includes(value)) return value;
  throw configError(`parameter "${name}" is "${value}"; known: ${known.join(", ")}`);
}
