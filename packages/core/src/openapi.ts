/** The route tables as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1). */

import type { ZodType } from "zod";
import { toJSONSchema, z } from "./zod.ts";
import { type ErrorCode, STATUS } from "./errors.ts";
import { type BodySpec, type Route, routeTemplate, type Spec } from "./routes.ts";
import type { Sidecar } from "./service.ts";

type Json = Readonly<Record<string, unknown>>;

/** What the document describes of a sidecar. */
export type Documented = Pick<Sidecar, "name" | "summary"> & {
  readonly routes: readonly { readonly method: Route<unknown>[0]; readonly path: string; readonly spec: Spec }[];
};

export interface OpenApiDocument extends Json {
  readonly openapi: "3.1.1";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Operation extends Json {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly Parameter[];
  readonly responses: Json;
}

export interface Parameter extends Json {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Json;
}

const EVERYWHERE: readonly ErrorCode[] = ["BAD_REQUEST", "UNAUTHORIZED", "FORBIDDEN", "TIMEOUT", "INTERNAL_ERROR"];
const WITH_BODY: readonly ErrorCode[] = ["PAYLOAD_TOO_LARGE"];
const WITH_JSON: readonly ErrorCode[] = ["UNSUPPORTED_MEDIA_TYPE", "UNPROCESSABLE"];

/** What the server itself answers to. */
export const serverSpecs = {
  "/health": {
    summary: "Whether the process lives; touches no backend and needs no token",
    replies: { 200: ["Alive", z.object({ status: z.literal("healthy") })] },
  },
  "/ready": {
    summary: "Whether every backend answers; asked at most once a second",
    replies: { 200: ["All answer", readiness()], 503: ["At least one does not", readiness()] },
  },
  "/metrics": {
    summary: "Calls, durations, errors, backends and the process, as Prometheus reads them",
    replies: { 200: ["Text of version 0.0.4", "bytes"] },
  },
  "/openapi.json": { summary: "This document", replies: { 200: ["OpenAPI 3.1", z.looseObject({})] } },
  "/docs": { summary: "This document as a page", replies: { 200: ["HTML", "bytes"] } },
} satisfies Record<string, Spec>;

const serverRoutes: Documented = {
  name: "server",
  summary: "The sidecar itself",
  routes: Object.entries<Spec>(serverSpecs).map(([path, spec]) => ({ method: "GET", path, spec })),
};

function readiness(): ZodType {
  const service = z.object({
    status: z.enum(["up", "down"]),
    backend: z.string(),
    latency_ms: z.number(),
    error: z.string().optional().describe("What to look at when it is down"),
  });
  return z.object({ status: z.enum(["ready", "unready"]), services: z.record(z.string(), service) });
}

/** The document of exactly these sidecars, each under its own prefix. */
export function openApi(sidecars: readonly Documented[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const sidecar of [...sidecars, serverRoutes]) {
    const prefix = sidecar === serverRoutes ? "" : `/${sidecar.name}`;
    for (const { method, path, spec } of sidecar.routes) {
      const template = routeTemplate(prefix + path);
      (paths[template] ??= {})[method.toLowerCase()] = operation(sidecar.name, method, prefix + path, spec);
    }
  }
  return {
    openapi: "3.1.1",
    info: { title: "mikcar", version, description: "Infrastructure services behind one HTTP API." },
    tags: [...sidecars, serverRoutes].map(({ name, summary }) => ({ name, description: summary })),
    paths,
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } }, schemas: { Error: errorSchema } },
    security: [{ bearer: [] }],
  };
}

const errorSchema: Json = {
  type: "object",
  required: ["error", "code", "status"],
  properties: {
    error: { type: "string" },
    code: { type: "string", enum: Object.keys(STATUS) },
    status: { type: "integer" },
    details: {},
  },
};

function operation(tag: string, method: string, path: string, spec: Spec): Operation {
  const { summary, description, body } = spec;
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^a-z0-9]+(.)?/gi, (_, next = "") => next.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(path === "/health" ? { security: [] } : {}),
    parameters: [...pathParameters(path), ...queryParameters(spec), ...headerParameters(spec)],
    ...(body === undefined ? {} : { requestBody: { required: body !== "bytes", content: content(body, "input") } }),
    responses: { ...replies(spec), ...errors(spec) },
  };
}

function pathParameters(path: string): Parameter[] {
  return [...path.matchAll(/([:*])(\w+)/g)].map(([, kind, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
    ...(kind === "*" ? { description: "The rest of the path; a slash may stand as it is or as %2F." } : {}),
  }));
}

function queryParameters({ query }: Spec): Parameter[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schema(query, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  }; // what zod makes of an object
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: property,
  }));
}

function headerParameters({ headers = {} }: Spec): Parameter[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: "header",
    required: false,
    description,
    schema: { type: "string" },
  }));
}

function replies(spec: Spec): Json {
  const entries = Object.entries(spec.replies).map(([status, [description, body]]) => [
    status,
    { description, ...(body === undefined ? {} : { content: content(body, "output") }) },
  ]);
  return Object.fromEntries(entries) as Json;
}

function errors({ body, errors: own = [], replies: success }: Spec): Json {
  const isJson = body !== undefined && typeof body !== "string";
  const codes = [...own, ...EVERYWHERE, ...(body === undefined ? [] : WITH_BODY), ...(isJson ? WITH_JSON : [])];
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    const known = byStatus.get(STATUS[code]) ?? [];
    if (!known.includes(code)) byStatus.set(STATUS[code], [...known, code]);
  }
  const entries = [...byStatus].filter(([status]) => !(status in success));
  return Object.fromEntries(
    entries.map(([status, names]) => [
      String(status),
      {
        description: names.join(", "),
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    ]),
  );
}

function content(body: BodySpec, io: "input" | "output"): Json {
  if (body === "bytes") return { "application/octet-stream": { schema: {} } };
  if (body === "events") return { "text/event-stream": { schema: { type: "string" } } };
  return { "application/json": { schema: schema(body, io) } };
}

function schema(type: ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = toJSONSchema(type, { io, unrepresentable: "any" });
  return rest;
}
