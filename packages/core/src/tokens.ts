/** `SIDECAR_TOKENS`: a JSON object of tokens, each with what it is for. */

import { configError } from "./errors.ts";
import type { Need } from "./routes.ts";
import { z } from "./zod.ts";

/** What a token opens. */
export interface TokenGrant {
  /** By service, `*` for all. */
  readonly scopes: ReadonlyMap<string, Need>;
  /** Begins every name; empty: any. */
  readonly prefix: string;
  readonly requestsPerSecond: number | undefined;
  readonly bodyBytesPerSecond: number | undefined;
  /** All of it as JSON. */
  readonly text: string;
}

const perSecond = z.number().positive().max(1e12).optional();
const entry = z.strictObject({
  scopes: z.array(z.string().regex(/^(?:[a-z]+|\*)(?::read|:write)?$/, 'expected "kv", "kv:read" or "*:read"')).min(1),
  prefix: z.string().default(""),
  requests_per_second: perSecond,
  body_bytes_per_second: perSecond,
});
const TOKEN = /^[^\s\p{Cc}]+$/u;

/** @returns Pairs of token and grant. @throws CONFIG_ERROR that counts the entries instead of repeating a token. */
export function readTokens(text: string): readonly (readonly [token: string, grant: TokenGrant])[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw wrong("it is not JSON"); // the reason would quote it
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrong("expected an object of tokens");
  return Object.entries(json).map(([token, value], index) => {
    const name = `entry ${index + 1}`;
    if (!TOKEN.test(token)) throw wrong(`${name}: a token is not empty, and has no white space or control character`);
    const read = entry.safeParse(value);
    if (!read.success) throw wrong(`${name}: ${fault(read.error.issues)}`);
    const { scopes, prefix, requests_per_second, body_bytes_per_second } = read.data;
    return [
      token,
      {
        scopes: scopeMap(scopes),
        prefix,
        requestsPerSecond: requests_per_second,
        bodyBytesPerSecond: body_bytes_per_second,
        text: JSON.stringify(read.data),
      },
    ];
  });
}

/** The wider one counts where a service is named twice. */
function scopeMap(scopes: readonly string[]): ReadonlyMap<string, Need> {
  const map = new Map<string, Need>();
  for (const scope of scopes) {
    const [service = "", need] = scope.split(":");
    if (need !== "read" || !map.has(service)) map.set(service, need === "read" ? "read" : "write");
  }
  return map;
}

function fault(issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]): string {
  const [{ path, message } = { path: [], message: "is wrong" }] = issues;
  return `${path.length === 0 ? "" : `${path.map(String).join(".")}: `}${message}`;
}

function wrong(reason: string): Error {
  const example = '{"TOKEN": {"scopes": ["kv", "storage:read"], "prefix": "team-a/"}}';
  return configError(`SIDECAR_TOKENS: ${reason}; it looks like ${example}`);
}
