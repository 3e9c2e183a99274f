/** Every setting of a program, as data: its key in the configuration file, its variable, its flag, and what it may be. */

import type { ZodType } from "zod";
import { DEFAULTS } from "./dispatch.ts";
import { LOG_LEVELS } from "./log.ts";
import { toJSONSchema, z } from "./zod.ts";

export interface Key {
  /** In the file. */
  readonly name: string;
  /** Absent: there is none. */
  readonly variable?: string;
  /** Other variables that say the same. */
  readonly also?: readonly string[];
  /** Without its dashes. */
  readonly flag?: string;
  readonly schema: ZodType;
  /** What holds when nothing is said, in words. */
  readonly fallback: string;
  readonly summary: string;
  /** Its value is not shown. */
  readonly isSecret?: true;
  /** It may come from the file that `NAME_file` or the variable `NAME_FILE` names. */
  readonly hasFile?: true;
  /** For the file that `init` writes. */
  readonly example: string;
}

/** A service as its program knows it before it is loaded. */
export interface NamedService {
  readonly name: string;
  /** The variable of its URL. */
  readonly env: string;
}

const text = z.string().min(1);
const bytes = (max: number): ZodType => z.int().min(0).max(max);
const seconds = z.number().min(0.001).max(86_400);
const value = z.union([z.string(), z.number(), z.boolean()]);

const GENERAL: readonly Key[] = [
  {
    name: "port",
    variable: "PORT",
    flag: "port",
    schema: z.int().min(0).max(65_535),
    fallback: "3001",
    summary: "TCP port, 0 for a free one",
    example: "3001",
  },
  {
    name: "host",
    variable: "HOST",
    flag: "host",
    schema: text,
    fallback: "127.0.0.1",
    summary: "address to listen on; any but loopback needs a token",
    example: "0.0.0.0",
  },
  {
    name: "socket",
    variable: "MIKCAR_SOCKET",
    flag: "socket",
    schema: text,
    fallback: "none",
    summary: "Unix socket instead of TCP; with a port beside it",
    example: "/run/mikcar.sock",
  },
  {
    name: "workers",
    variable: "MIKCAR_WORKERS",
    flag: "workers",
    schema: z.int().min(0).max(1024),
    fallback: "1",
    summary: "so many processes serve, 0 for one per core",
    example: "0",
  },
  {
    name: "data",
    variable: "MIKCAR_DATA",
    flag: "data",
    schema: text,
    fallback: "./data",
    summary: "folder of the embedded backends",
    example: "/var/lib/mikcar",
  },
  {
    name: "strict",
    variable: "MIKCAR_STRICT",
    flag: "strict",
    schema: z.boolean(),
    fallback: "false",
    summary: "an unset URL is an error instead of an embedded backend",
    example: "true",
  },
  {
    name: "log_level",
    variable: "LOG_LEVEL",
    flag: "log-level",
    schema: z.enum(LOG_LEVELS),
    fallback: "info",
    summary: LOG_LEVELS.join(", "),
    example: "debug",
  },
  {
    name: "auth_token",
    variable: "SIDECAR_TOKEN",
    also: ["AUTH_TOKEN"],
    flag: "auth-token",
    schema: text,
    fallback: "none",
    summary: "every call must bring it",
    isSecret: true,
    hasFile: true,
    example: "change-me",
  },
  {
    name: "tokens",
    variable: "SIDECAR_TOKENS",
    schema: z.record(z.string(), z.looseObject({})),
    fallback: "none",
    summary: "tokens with scopes",
    isSecret: true,
    hasFile: true,
    example: '{ change-me-too: { scopes: ["kv", "storage:read"], prefix: "team-a/" } }',
  },
  {
    name: "no_auth",
    flag: "no-auth",
    schema: z.boolean(),
    fallback: "false",
    summary: "no token, on any address",
    example: "true",
  },
  {
    name: "timeout_seconds",
    variable: "TIMEOUT_SECONDS",
    schema: seconds,
    fallback: String(DEFAULTS.timeoutMs / 1000),
    summary: "after which a call without progress ends with 408",
    example: "10",
  },
  {
    name: "drain_seconds",
    variable: "DRAIN_SECONDS",
    schema: seconds,
    fallback: String(DEFAULTS.drainMs / 1000),
    summary: "how long open calls may go on after SIGTERM",
    example: "30",
  },
  {
    name: "max_body_bytes",
    variable: "MAX_BODY_BYTES",
    schema: bytes(2 ** 31),
    fallback: String(DEFAULTS.maxBodyBytes),
    summary: "of a body that is read whole",
    example: "1048576",
  },
  {
    name: "max_object_bytes",
    variable: "MAX_OBJECT_BYTES",
    schema: bytes(Number.MAX_SAFE_INTEGER),
    fallback: String(DEFAULTS.maxObjectBytes),
    summary: "of an object",
    example: "104857600",
  },
  {
    name: "cors_origins",
    variable: "CORS_ORIGINS",
    schema: z.array(text),
    fallback: "none",
    summary: "origins whose pages may call",
    example: '["https://app.example.com"]',
  },
  {
    name: "public_url",
    variable: "PUBLIC_URL",
    schema: text,
    fallback: "none",
    summary: "where signed URLs point, behind a proxy",
    example: "https://files.example.com",
  },
  {
    name: "metrics_public",
    variable: "METRICS_PUBLIC",
    schema: z.boolean(),
    fallback: "false",
    summary: "GET /metrics needs no token",
    example: "true",
  },
  {
    name: "otlp_endpoint",
    variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
    also: ["OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
    schema: text,
    fallback: "none",
    summary: "where traces go",
    isSecret: true,
    example: "http://localhost:4318",
  },
];

/** All keys of a program with these services; the URL of each service is one. */
export function configKeys(services: readonly NamedService[]): readonly Key[] {
  const urls = services.map(({ name, env }): Key => ({
    name: env.toLowerCase(),
    variable: env,
    schema: text,
    fallback: "embedded, below data",
    summary: `backend of ${name}`,
    isSecret: true,
    hasFile: true,
    example: "memory://",
  }));
  return [...GENERAL, ...urls];
}

/** What a configuration file may hold. */
export function configSchema(services: readonly NamedService[]): ZodType<Record<string, unknown>> {
  const names = services.map(({ name }) => name) as [string, ...string[]]; // a program has at least one
  const fields: Record<string, ZodType> = {
    $schema: z.string().describe("For editors").optional(),
    services: z
      .union([z.literal("all"), z.array(z.enum(names)).min(1)])
      .describe("Which services run")
      .optional(),
  };
  for (const { name, schema, summary, fallback, hasFile } of configKeys(services)) {
    fields[name] = schema.describe(`${summary} (default: ${fallback})`).optional();
    if (hasFile) fields[`${name}_file`] = text.describe(`File that holds ${name}`).optional();
  }
  const variables = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/, "expected a variable's name"), value);
  fields["env"] = variables.describe("Any other variable, such as SQL_SCRIPT_TIMEOUT_MS").optional();
  return z.strictObject(fields);
}

/** The same as JSON Schema 2020-12. */
export function configJsonSchema(services: readonly NamedService[]): Record<string, unknown> {
  return { title: "Configuration of mikcar", ...toJSONSchema(configSchema(services)) };
}
