/** `--config FILE`: settings in JSON or YAML, below those of the environment. */

import { readFileSync } from "node:fs";
import { configKeys, configSchema, type Key, type NamedService } from "./config-keys.ts";
import type { Env } from "./env.ts";
import { configError } from "./errors.ts";

export interface ConfigFile {
  readonly path: string;
  /** Names of the services to run; empty when it says nothing. */
  readonly services: readonly string[];
  readonly noAuth: boolean;
  /** What it says, as variables. */
  readonly variables: Env;
}

/** JSON is YAML too. @throws CONFIG_ERROR naming the file, the key, and what is known; values are not repeated. */
export async function readConfigFile(path: string, services: readonly NamedService[]): Promise<ConfigFile> {
  const read = configSchema(services).safeParse(await parse(path));
  if (!read.success) {
    const [issue] = read.error.issues;
    throw configError(`${path}: ${fault(issue as Issue, services)}`);
  }
  const { services: chosen = [], no_auth, env = {}, ...rest } = read.data as FileContent;
  const variables: Record<string, string> = {};
  for (const { name, variable } of configKeys(services)) {
    if (variable === undefined) continue;
    if (rest[name] !== undefined) variables[variable] = asVariable(rest[name]);
    if (rest[`${name}_file`] !== undefined) variables[`${variable}_FILE`] = asVariable(rest[`${name}_file`]);
  }
  for (const [name, value] of Object.entries(env)) variables[name] ??= String(value);
  return {
    path,
    services: chosen === "all" ? services.map(({ name }) => name) : chosen,
    noAuth: no_auth === true,
    variables,
  };
}

interface FileContent {
  readonly services?: "all" | readonly string[];
  readonly no_auth?: boolean;
  readonly env?: Readonly<Record<string, string | number | boolean>>;
  readonly [key: string]: unknown;
}

/** What of the file counts: a variable of the environment, or another one that says the same, is above it. */
export function belowEnvironment({ variables }: ConfigFile, env: Env, keys: readonly Key[]): Env {
  const entries = Object.entries(variables).filter(([full]) => {
    const name = full.replace(/_FILE$/, "");
    const key = keys.find(({ variable, also = [] }) => name === variable || also.includes(name));
    const names = key === undefined ? [name] : [key.variable ?? name, ...(key.also ?? [])];
    return !names.some((one) => env[one] || env[`${one}_FILE`]);
  });
  return Object.fromEntries(entries);
}

async function parse(path: string): Promise<unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`--config: cannot read "${path}" (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error === undefined) return content(path, document);
  const line = text.slice(0, error.pos[0]).split("\n").length;
  throw configError(`${path}: line ${line} is neither JSON nor YAML (${error.code})`); // its words may quote a secret
}

function content(path: string, document: { toJS(): unknown }): unknown {
  try {
    const read = document.toJS() ?? {};
    JSON.stringify(read); // has no end where an alias is within its own anchor
    return read;
  } catch (cause) {
    throw configError(`${path}: an alias (*name) leads nowhere, into itself, or to far too much`, { cause });
  }
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

function fault({ code, path, message, keys = [] }: Issue, services: readonly NamedService[]): string {
  const isSecret = configKeys(services).some((key) => key.isSecret === true && key.name === path[0]);
  const shown = isSecret ? path.slice(0, 1) : path; // tokens are keys themselves
  if (code !== "unrecognized_keys" || path.length > 0)
    return `${shown.map(String).join(".") || "the file"}: ${message}`;
  const known = ["services", ...configKeys(services).map(({ name }) => name), "env"];
  return `unknown key "${keys[0]}"; known: ${known.join(", ")}`;
}

function asVariable(value: unknown): string {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
