/** The secrets routes; see `docs/contract.md`, section 7. */

import { badRequest, type Call, conflict, notFound, type Reply, type Routes } from "@mikcar/core";
import type { Entry, SecretsBackend } from "./backend.ts";
import { nameFault } from "./name.ts";
import * as schemas from "./schemas.ts";
import { spec } from "./spec.ts";

// prettier-ignore
export const routes: Routes<SecretsBackend> = [
  ["GET",    "/secret/*name",   readSecret,   spec.read],
  ["POST",   "/secret/*name",   createSecret, spec.create],
  ["PUT",    "/secret/*name",   updateSecret, spec.update],
  ["DELETE", "/secret/*name",   deleteSecret, spec.remove],
  ["GET",    "/exists/*name",   secretExists, spec.exists],
  ["GET",    "/list",           listAll,      spec.list],
  ["GET",    "/list/*prefix",   listBelow,    spec.list],
  ["GET",    "/versions/*name", listVersions, spec.versions],
];

/** A value is for its caller alone: https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5 */
const NO_STORE = { "Cache-Control": "no-store" };

async function readSecret(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  const { version } = call.query(schemas.readQuery);
  const secret = await secrets.read(name, version);
  if (secret === undefined) throw notFound(version === undefined ? name : `version ${version} of ${name}`);
  const { value, labels, ...rest } = secret;
  const { version: read, created_at, updated_at } = wireEntry(rest);
  return { headers: NO_STORE, body: { value, version: read, created_at, updated_at, labels: labels ?? null } };
}

async function createSecret(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  const { value, labels = {} } = await call.json(schemas.createBody);
  if (await secrets.create(name, value, labels)) return { status: 201, body: { status: "created", name } };
  throw conflict(`${name} exists already; PUT gives it a new value`);
}

async function updateSecret(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  const { value, labels } = await call.json(schemas.updateBody);
  if (await secrets.update(name, value, labels)) return { body: { status: "updated", name } };
  throw notFound(`${name}; POST creates it`);
}

async function deleteSecret(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  if (await secrets.remove(name)) return { body: { status: "deleted", name } };
  throw notFound(name);
}

async function secretExists(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  return { body: { exists: await secrets.exists(name), name } };
}

function listAll(secrets: SecretsBackend, call: Call): Promise<Reply> {
  return list(secrets, call, "");
}

function listBelow(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const given = call.param("prefix");
  const prefix = given.replace(/\/$/, "");
  if (prefix !== "") refuseFault("prefix", prefix);
  return list(secrets, call, prefix);
}

async function list(secrets: SecretsBackend, call: Call, prefix: string): Promise<Reply> {
  call.confine(prefix === "" ? "" : `${prefix}/`);
  const { limit, cursor } = call.query(schemas.listQuery);
  const isPaged = limit !== undefined;
  // One more than asked for tells whether there is another page.
  const found = await secrets.list(prefix, {
    ...(cursor === undefined ? {} : { after: cursor }),
    ...(isPaged ? { limit: limit + 1 } : {}),
  });
  const entries = isPaged ? found.slice(0, limit) : found;
  const next = found.length > entries.length ? entries.at(-1)?.name : undefined;
  const body = { secrets: entries.map(wireEntry), count: entries.length, prefix };
  return { body: isPaged || cursor !== undefined ? { ...body, cursor: next ?? null } : body };
}

async function listVersions(secrets: SecretsBackend, call: Call): Promise<Reply> {
  const name = nameOf(call);
  const versions = await secrets.versions(name);
  if (versions === undefined) throw notFound(name);
  const wire = versions.map(({ version, createdAt }) => ({ version, created_at: createdAt.toISOString() }));
  return { body: { name, versions: wire } };
}

function wireEntry({ name, version, createdAt, updatedAt }: Entry): Record<string, string> {
  return { name, version, created_at: createdAt.toISOString(), updated_at: updatedAt.toISOString() };
}

function nameOf(call: Call): string {
  const name = call.param("name");
  refuseFault("name", name);
  return name;
}

function refuseFault(field: string, name: string): void {
  const fault = nameFault(name);
  if (fault !== undefined) throw badRequest(`${field}: ${fault}`, { details: [{ field, message: fault }] });
}
