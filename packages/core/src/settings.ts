/** The command line and the environment, as data and one parser: flags beat variables beat defaults. */

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { belowEnvironment, readConfigFile } from "./config-file.ts";
import { configKeys, type NamedService } from "./config-keys.ts";
import { DEFAULTS } from "./dispatch.ts";
import { type Env, readSecret } from "./env.ts";
import { configError } from "./errors.ts";
import { LOG_LEVELS, type LogLevel } from "./log.ts";
import { type Origin, originsOf } from "./origins.ts";
import { tracesUrl } from "./otlp.ts";
import { readTokens } from "./tokens.ts";

export interface Settings {
  /** Names of the services asked for by flag. */
  readonly chosen: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
  readonly check: boolean;
  /** Of the configuration file, whether it was read or not. */
  readonly configPath: string | undefined;
  readonly strict: boolean;
  /** How many processes serve, 1 or more. */
  readonly workers: number;
  readonly noAuth: boolean;
  readonly port: number | undefined;
  readonly host: string;
  readonly socketPath: string | undefined;
  readonly authToken: string | undefined;
  /** It came as a flag, so no file changes it. */
  readonly hasTokenFlag: boolean;
  /** The JSON of `SIDECAR_TOKENS`, checked. */
  readonly tokens: string | undefined;
  readonly logLevel: LogLevel;
  readonly timeoutMs: number;
  readonly drainMs: number;
  readonly maxBodyBytes: number;
  readonly maxObjectBytes: number;
  readonly corsOrigins: readonly string[];
  readonly publicUrl: string | undefined;
  readonly metricsPublic: boolean;
  /** Where traces go. */
  readonly tracesUrl: string | undefined;
  /** Variables that the configuration file alone sets. */
  readonly fromFile: Env;
  /** Where each setting comes from. */
  readonly origins: readonly Origin[];
  /** The environment with the file, and the flags that stand for variables written into it, for the services to read. */
  readonly env: Env;
  /** What is odd but no error: told in the log. */
  readonly warnings: readonly string[];
}

interface Flag {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What the value is called in `--help`. */
  readonly value?: string;
  readonly help: string;
}

const FLAGS = {
  port: { type: "string", short: "p", value: "PORT", help: "TCP port, 0 for a free one (env PORT, default 3001)" },
  host: { type: "string", value: "ADDRESS", help: "address to listen on (env HOST, default 127.0.0.1)" },
  socket: { type: "string", value: "PATH", help: "Unix socket instead of TCP; with --port beside it" },
  "auth-token": { type: "string", value: "TOKEN", help: "ask every call for this token (env SIDECAR_TOKEN)" },
  "no-auth": { type: "boolean", help: "no token, on any address; ignores a token that is set" },
  workers: { type: "string", value: "N", help: "processes that serve, 0: one per core (env MIKCAR_WORKERS)" },
  config: { type: "string", value: "FILE", help: "JSON or YAML, below the environment (env MIKCAR_CONFIG)" },
  data: { type: "string", value: "DIR", help: "folder of the embedded backends (env MIKCAR_DATA, ./data)" },
  strict: { type: "boolean", help: "an unset URL is an error (env MIKCAR_STRICT)" },
  "log-level": { type: "string", value: "LEVEL", help: `${LOG_LEVELS.join(", ")} (env LOG_LEVEL)` },
  check: { type: "boolean", help: "validate, ping every backend, print a table, exit 0 or 1" },
  help: { type: "boolean", short: "h", help: "this page" },
  version: { type: "boolean", short: "v", help: "the version" },
} as const satisfies Record<string, Flag>;

/** Any of them, or its file, is above what the configuration file says of tokens. */
const TOKENS = ["SIDECAR_TOKEN", "AUTH_TOKEN", "SIDECAR_TOKENS"];

/** @throws CONFIG_ERROR naming the flag, variable or key, what came, and what is known. */
export async function readSettings(
  args: readonly string[],
  environment: Env,
  services: readonly NamedService[],
  readsFile = true,
): Promise<Settings> {
  const serviceNames = services.map(({ name }) => name);
  const { values } = parse(args, serviceNames);
  const text = (name: string): string | undefined => (typeof values[name] === "string" ? values[name] : undefined);
  const isSet = (name: string): boolean => values[name] === true;
  const configPath = text("config") ?? (environment["MIKCAR_CONFIG"] || undefined);
  const isToRead = readsFile && !isSet("help") && !isSet("version");
  const read = isToRead && configPath !== undefined ? await readConfigFile(configPath, services) : undefined;
  const keys = configKeys(services);
  const fromFile = read === undefined ? {} : belowEnvironment(read, environment, keys);
  const env: Env = { ...environment, ...fromFile };
  const socketPath = text("socket") ?? (env["MIKCAR_SOCKET"] || undefined);
  // Many platforms set PORT for every program; beside a socket only the flag or the file asks for TCP as well.
  const port = text("port") ?? (socketPath === undefined ? env["PORT"] || undefined : fromFile["PORT"]);
  const seconds = (name: string, fallbackMs: number): number =>
    number(env, name, fallbackMs / 1000, 0.001, 86_400) * 1000;
  const hasTokenAbove =
    Boolean(text("auth-token")) || TOKENS.some((name) => environment[name] || environment[`${name}_FILE`]);
  const file = read?.noAuth === true && hasTokenAbove ? { ...read, noAuth: false } : read;
  const noAuth = isSet("no-auth") || file?.noAuth === true;
  const oneToken = text("auth-token") ? checkToken(text("auth-token")) : authToken(env);
  const tokens = readSecret(env, "SIDECAR_TOKENS");
  const scoped = tokens === undefined ? undefined : readTokens(tokens);
  const chosen = isSet("all") ? serviceNames : serviceNames.filter(isSet);
  const emptyToken =
    oneToken === undefined ? ["SIDECAR_TOKEN", "AUTH_TOKEN"].find((name) => env[name] === "") : undefined;

  return {
    chosen: chosen.length > 0 ? chosen : (file?.services ?? []),
    help: isSet("help"),
    version: isSet("version"),
    check: isSet("check"),
    configPath,
    strict: isSet("strict") || boolean(env, "MIKCAR_STRICT"),
    noAuth,
    workers: workerCount(text("workers"), env),
    port: port === undefined ? undefined : portNumber(port, text("port") === undefined ? "PORT" : "--port"),
    host: (text("host") || env["HOST"] || "127.0.0.1").replace(/^\[(.*)\]$/, "$1"),
    socketPath,
    authToken: oneToken,
    hasTokenFlag: Boolean(text("auth-token")),
    tokens,
    logLevel: level(text("log-level"), env),
    timeoutMs: seconds("TIMEOUT_SECONDS", DEFAULTS.timeoutMs),
    drainMs: seconds("DRAIN_SECONDS", DEFAULTS.drainMs),
    maxBodyBytes: bytes(env, "MAX_BODY_BYTES", DEFAULTS.maxBodyBytes, 2 ** 31),
    maxObjectBytes: bytes(env, "MAX_OBJECT_BYTES", DEFAULTS.maxObjectBytes, Number.MAX_SAFE_INTEGER),
    corsOrigins: origins(env["CORS_ORIGINS"] ?? ""),
    publicUrl: publicUrl(env["PUBLIC_URL"] ?? ""),
    metricsPublic: boolean(env, "METRICS_PUBLIC"),
    tracesUrl: tracesUrl(env),
    fromFile,
    origins: originsOf(keys, { values, environment, fromFile, file, chosen }),
    env: { ...env, ...(text("data") === undefined ? {} : { MIKCAR_DATA: text("data") }) },
    warnings: [
      ...(emptyToken === undefined ? [] : [`${emptyToken} is set but empty; it counts as unset`]),
      ...(scoped?.length === 0 && oneToken === undefined && !noAuth
        ? ["SIDECAR_TOKENS holds no token, and there is no other: every call but /health is refused"]
        : []),
      ...(noAuth && (oneToken ?? tokens) !== undefined ? ["--no-auth: the token that is set is ignored"] : []),
    ],
  };
}

/** The page of `--help`: at most 24 lines of 80 characters. */
export function helpText(
  program: string,
  services: readonly { name: string; summary: string; env: string }[],
  commands: readonly { name: string; summary: string }[] = [],
): string {
  const rows = [
    ...services.map(({ name, env, summary }) => [`--${name}`, `${summary} (${env})`]),
    ...(services.length > 1 ? [["--all", "all of these"]] : []),
    ...Object.entries<Flag>(FLAGS).map(([name, { short, value, help }]) => [
      `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`,
      help,
    ]),
    ...commands.map(({ name, summary }) => [name, summary]),
  ];
  const width = Math.max(...rows.map(([flag = ""]) => flag.length));
  const lines = rows.map(([flag = "", help = ""]) => `  ${flag.padEnd(width)}  ${help}`);
  const usage = `${program} ${services.length > 1 ? "--SERVICE… " : ""}[options]`;
  return [`Usage: ${[usage, ...commands.map(({ name }) => `${program} ${name}`)].join(", or ")}`, "", ...lines].join(
    "\n",
  );
}

function parse(
  args: readonly string[],
  serviceNames: readonly string[],
): { values: Record<string, string | boolean | undefined> } {
  const switches = Object.fromEntries([...serviceNames, "all"].map((name) => [name, { type: "boolean" as const }]));
  const options = { ...switches, ...FLAGS };
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
  } catch (cause) {
    const names = Object.keys(options).map((name) => `--${name}`);
    throw configError(`${(cause as Error).message.split(". To specify")[0]}; known: ${names.join(" ")}`, { cause });
  }
}

function workerCount(flag: string | undefined, env: Env): number {
  const text = flag ?? (env["MIKCAR_WORKERS"] || "1");
  const count = Number(text);
  if (/^\d{1,4}$/.test(text) && count <= 1024) return count === 0 ? availableParallelism() : count;
  throw configError(`${flag === undefined ? "MIKCAR_WORKERS" : "--workers"} is "${text}"; expected 0 to 1024`);
}

function portNumber(text: string, name: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw configError(`${name} is "${text}"; expected a port from 0 to 65535`);
}

function level(flag: string | undefined, env: Env): LogLevel {
  const text = flag ?? (env["LOG_LEVEL"] || "info");
  const found = LOG_LEVELS.find((known) => known === text);
  if (found !== undefined) return found;
  throw configError(
    `${flag === undefined ? "LOG_LEVEL" : "--log-level"} is "${text}"; known: ${LOG_LEVELS.join(", ")}`,
  );
}

function number(env: Env, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  throw configError(`${name} is "${text}"; expected a number from ${min} to ${max}`);
}

function bytes(env: Env, name: string, fallback: number, max: number): number {
  const value = number(env, name, fallback, 0, max);
  if (Number.isInteger(value) && /^\d*$/.test(env[name] ?? "")) return value;
  throw configError(`${name} is "${env[name]}"; expected a whole number of bytes`);
}

/** The token that opens everything, as the environment has it. @throws CONFIG_ERROR */
export function authToken(env: Env): string | undefined {
  return checkToken(readSecret(env, "SIDECAR_TOKEN") || readSecret(env, "AUTH_TOKEN"));
}

/** A header has no room for white space in a token, so such a token could never be sent. */
function checkToken(text: string | undefined): string | undefined {
  if (text === undefined || !/[\s\p{Cc}]/u.test(text)) return text;
  throw configError("the token holds white space or a control character, which no Authorization header can carry");
}

function publicUrl(text: string): string | undefined {
  if (text === "" || /^https?:\/\/[^/?#\s"]+(?:\/[^?#\s"]*)?$/.test(text)) return text || undefined;
  throw configError(
    `PUBLIC_URL is "${text}"; expected http:// or https:// with a host, such as https://files.example.com`,
  );
}

function boolean(env: Env, name: string): boolean {
  const text = (env[name] ?? "").toLowerCase();
  if (["", "0", "false", "no"].includes(text)) return false;
  if (["1", "true", "yes"].includes(text)) return true;
  throw configError(`${name} is "${env[name]}"; expected true or false`);
}

function origins(text: string): string[] {
  const list = text
    .split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  const wrong = list.find((origin) => origin !== "*" && !/^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i.test(origin));
  if (wrong === undefined) return list;
  throw configError(`CORS_ORIGINS: "${wrong}" is no origin; write scheme://host[:port] without a path, or *`);
}
