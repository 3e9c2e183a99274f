import type { IncomingHttpHeaders } from "node:http";
import {
  badRequest,
  type Call,
  errorBody,
  forbidden,
  isMikcarError,
  MikcarError,
  notFound,
  preconditions,
  type Reply,
  type Routes,
} from "@mikcar/core";
import type { ObjectHeaders, ObjectInfo, StorageBackend, Written } from "./backend.ts";
import { checksums, verified } from "./checksum.ts";
import { isUnchanged, readConditions, readRequest } from "./conditional.ts";
import { checkPath, checkPrefix, pathFault } from "./path.ts";
import { batch, listQuery, presignRequest, transfer } from "./schemas.ts";
import { spec } from "./spec.ts";

const META = "x-meta-";
const MAX_METADATA_BYTES = 8192;
const OCTETS = "application/octet-stream";

// prettier-ignore
export const routes: Routes<StorageBackend> = [
  ["GET",    "/object/*path",  getObject,     spec.getObject],
  ["HEAD",   "/object/*path",  headObject,    spec.headObject],
  ["PUT",    "/object/*path",  putObject,     spec.putObject],
  ["DELETE", "/object/*path",  deleteObject,  spec.deleteObject],
  ["GET",    "/list",          listObjects,   spec.listObjects],
  ["GET",    "/list/*prefix",  listBelow,     spec.listBelow],
  ["POST",   "/copy",          copyObject,    spec.copyObject],
  ["POST",   "/move",          moveObject,    spec.moveObject],
  ["POST",   "/delete/batch",  deleteBatch,   spec.deleteBatch],
  ["POST",   "/presign/*path", presignObject, spec.presignObject],
];

async function getObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const path = checkPath(call.param("path"));
  const found = await storage.get(path, readRequest(call.headers));
  if (found === undefined) throw notFound(path);
  const { info, body } = found;
  const { status, start, end } = found.slice;
  if (status === 304) return { status, headers: versionHeaders(info) };
  const headers = objectHeaders(info);
  if (!Buffer.isBuffer(body)) headers["Content-Length"] = String(end - start);
  if (status === 206) headers["Content-Range"] = `bytes ${start}-${end - 1}/${info.size}`;
  return { status, headers, body };
}

async function headObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const path = checkPath(call.param("path"));
  const conditions = readConditions(call.headers);
  const info = await storage.head(path);
  if (info === undefined) throw notFound(path);
  if (conditions !== undefined && isUnchanged(conditions, info)) return { status: 304, headers: versionHeaders(info) };
  const headers = objectHeaders(info);
  headers["Content-Length"] = String(info.size);
  headers["X-Object-Size"] = String(info.size);
  headers["X-Last-Modified"] = info.lastModified.toISOString();
  return { headers };
}

async function putObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const path = checkPath(call.param("path"));
  const { headers } = call;
  const kept = keptHeaders(headers);
  const conditions = preconditions(headers);
  const expected = checksums(headers);
  const body = expected.length === 0 ? call.stream() : verified(call.stream(), expected);
  const { size, eTag } = await storage.put(path, body, kept, conditions);
  return { status: 201, headers: { ETag: `"${eTag}"` }, body: { status: "created", path, size, e_tag: `"${eTag}"` } };
}

async function deleteObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const path = checkPath(call.param("path"));
  if (!(await storage.delete(path, preconditions(call.headers)))) throw notFound(path);
  return { body: { status: "deleted", path } };
}

function listObjects(storage: StorageBackend, call: Call): Promise<Reply> {
  return list(storage, call, "");
}

function listBelow(storage: StorageBackend, call: Call): Promise<Reply> {
  return list(storage, call, call.param("prefix"));
}

async function copyObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const { from, to } = await fromTo(call);
  return transferred("copied", from, to, await storage.copy(from, to));
}

async function moveObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const { from, to } = await fromTo(call);
  return transferred("moved", from, to, await storage.move(from, to));
}

async function deleteBatch(storage: StorageBackend, call: Call): Promise<Reply> {
  const { paths } = await call.json(batch);
  const unique = [...new Set(paths)];
  for (const path of unique) call.confine(path);
  const { deleted, errors } = await storage.deleteMany(unique.filter((path) => pathFault(path) === undefined));
  const refused = unique.flatMap((path) => {
    const fault = pathFault(path);
    return fault === undefined ? [] : [{ path, error: badRequest(`the path ${fault}`) }];
  });
  return { body: { deleted, errors: [...refused, ...errors].map(({ path, error }) => ({ path, ...spoken(error) })) } };
}

async function presignObject(storage: StorageBackend, call: Call): Promise<Reply> {
  const path = checkPath(call.param("path"));
  const { method, expires_in: seconds } = hasBody(call.headers)
    ? await call.json(presignRequest)
    : presignRequest.parse({});
  if (method === "PUT" && !call.canWrite) throw forbidden("this token only reads, so it can sign only for GET");
  const expiresAt = new Date(Math.floor(Date.now() / 1000 + seconds) * 1000); // signatures know no fractions
  const signed = await storage.presign(method, path, expiresAt);
  const url = signed?.url ?? call.signUrl(method, `/storage/object/${path}`, expiresAt);
  return { body: { url, expires_at: expiresAt.toISOString(), headers: signed?.headers ?? {} } };
}

async function list(storage: StorageBackend, call: Call, below: string): Promise<Reply> {
  const prefix = checkPrefix(below);
  call.confine(prefix === "" ? "" : `${prefix}/`);
  const { limit, offset, delimiter } = call.query(listQuery);
  const { objects, prefixes, next } = await storage.list({ prefix, after: offset, limit, delimiter }, call.signal);
  const rows = objects.map(({ path, size, lastModified, eTag }) => ({
    location: path,
    size,
    last_modified: lastModified.toISOString(),
    e_tag: `"${eTag}"`,
  }));
  return { body: { objects: rows, ...(delimiter === undefined ? {} : { prefixes }), next_offset: next ?? null } };
}

async function fromTo(call: Call): Promise<{ from: string; to: string }> {
  const { from, to } = await call.json(transfer);
  call.confine(from);
  call.confine(to);
  return { from: checkPath(from, "from path"), to: checkPath(to, "to path") };
}

function transferred(status: string, from: string, to: string, written: Written | undefined): Reply {
  if (written === undefined) throw notFound(from);
  return { body: { status, from, to, size: written.size, e_tag: `"${written.eTag}"` } };
}

/** What a client may know of a failure inside an answer that as a whole is none. */
function spoken(thrown: unknown): { error: string; code: string } {
  const failure = isMikcarError(thrown) ? thrown : new MikcarError("INTERNAL_ERROR", String(thrown));
  const { error, code } = errorBody(failure);
  return { error, code };
}

/** A body that nobody announced with a type or a length may never end, so it is not waited for. */
function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers["content-type"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function keptHeaders(headers: IncomingHttpHeaders): ObjectHeaders {
  const cacheControl = headers["cache-control"];
  return {
    contentType: headers["content-type"] ?? OCTETS,
    ...(cacheControl === undefined ? {} : { cacheControl }),
    metadata: metadata(headers),
  };
}

/** `Object.fromEntries` takes even `__proto__` for a name like any other. */
function metadata(headers: IncomingHttpHeaders): Record<string, string> {
  const entries: [string, string][] = [];
  let bytes = 0;
  for (const name in headers) {
    if (!name.startsWith(META)) continue;
    const value = String(headers[name]);
    entries.push([name.slice(META.length), value]);
    bytes += name.length - META.length + value.length; // both are one byte per character on the wire
  }
  if (bytes > MAX_METADATA_BYTES)
    throw badRequest(`the X-Meta-* headers hold ${bytes} bytes; ${MAX_METADATA_BYTES} are allowed`);
  return Object.fromEntries(entries);
}

/** An object may be a page of somebody's making: no browser shall guess its type, or run it with this origin's rights. */
function objectHeaders(info: ObjectInfo): Record<string, string> {
  const headers = versionHeaders(info);
  headers["Content-Type"] = info.contentType;
  headers["Accept-Ranges"] = "bytes";
  headers["X-Content-Type-Options"] = "nosniff";
  headers["Content-Security-Policy"] = "sandbox";
  for (const name in info.metadata) headers[META + name] = info.metadata[name] as string; // for…in yields its keys
  return headers;
}

function versionHeaders({ eTag, lastModified, cacheControl }: ObjectInfo): Record<string, string> {
  return {
    ETag: `"${eTag}"`,
    "Last-Modified": lastModified.toUTCString(),
    ...(cacheControl === undefined ? {} : { "Cache-Control": cacheControl }),
  };
}
