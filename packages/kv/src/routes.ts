/** The kv routes; see `docs/contract.md`, section 4. */

import { isUtf8 } from "node:buffer";
import {
  badRequest,
  type Call,
  eventReply,
  exactInteger,
  holds,
  notFound,
  preconditionFailed,
  preconditions,
  type Reply,
  type Routes,
  type ServerEvent,
} from "@mikcar/core";
import { z } from "@mikcar/core/zod";
import type { Change, Condition, KvBackend, Operation, Result } from "./backend.ts";
import { type Glob, glob } from "./glob.ts";
import * as schemas from "./schemas.ts";
import { spec } from "./spec.ts";
import { eTag } from "./value.ts";

// prettier-ignore
export const routes: Routes<KvBackend> = [
  ["GET",    "/get/:key",       getKey,       spec.get],
  ["POST",   "/get/batch",      getBatch,     spec.getBatch],
  ["POST",   "/set/batch",      setBatch,     spec.setBatch],
  ["POST",   "/set/:key",       setKey,       spec.set],
  ["DELETE", "/del/:key",       deleteKey,    spec.del],
  ["POST",   "/del/batch",      deleteBatch,  spec.delBatch],
  ["GET",    "/keys/:pattern",  listKeys,     spec.keys],
  ["POST",   "/increment/:key", incrementKey, spec.increment],
  ["GET",    "/exists/:key",    keyExists,    spec.exists],
  ["GET",    "/ttl/:key",       keyTtl,       spec.ttl],
  ["POST",   "/expire/:key",    expireKey,    spec.expire],
  ["POST",   "/tx",             runTx,        spec.tx],
  ["GET",    "/watch/:pattern", watchKeys,    spec.watch],
];

const TEXT = "text/plain; charset=utf-8";
const OCTETS = "application/octet-stream";

async function getKey(kv: KvBackend, call: Call): Promise<Reply> {
  const key = keyOf(call);
  const value = await kv.get(key);
  if (value === undefined) throw notFound(key);
  const tag = eTag(value);
  const headers = { "Content-Type": isUtf8(value) ? TEXT : OCTETS, ETag: `"${tag}"` };
  const { ifMatch, ifNoneMatch } = preconditions(call.headers) ?? {};
  if (ifMatch !== undefined && !holds({ ifMatch }, tag))
    throw preconditionFailed(`the value of "${key}" has another tag`);
  if (ifNoneMatch !== undefined && !holds({ ifNoneMatch }, tag))
    return { status: 304, headers: { ETag: headers.ETag } };
  return { headers, body: value };
}

async function getBatch(kv: KvBackend, call: Call): Promise<Reply> {
  const keys = [...new Set((await call.json(schemas.keysBody)).keys)];
  for (const key of keys) call.confine(key);
  const values = await kv.getMany(keys);
  const body: Record<string, unknown> = Object.create(null) as Record<string, unknown>; // can have a key named __proto__
  keys.forEach((key, index) => {
    body[key] = jsonValue(values[index]);
  });
  return { body };
}

async function setBatch(kv: KvBackend, call: Call): Promise<Reply> {
  const ttlSeconds = schemas.ttlSeconds(call.query(schemas.ttlQuery).ttl);
  const pairs = schemas.entries(await call.json(z.unknown()));
  for (const [key] of pairs) call.confine(key);
  const operations = pairs.map(([key, value]): Operation => ({ type: "set", key, value, ttlSeconds }));
  await kv.transact({ conditions: [], operations });
  return { body: { status: "ok", count: pairs.length } };
}

async function setKey(kv: KvBackend, call: Call): Promise<Reply> {
  const key = keyOf(call);
  const { ttl, if: presence } = call.query(schemas.setQuery);
  const conditions = writeConditions(key, call);
  if (presence === "absent") conditions.push({ key, ifNoneMatch: "*" });
  if (presence === "present") conditions.push({ key, ifMatch: "*" });
  const value = await call.bytes();
  await kv.transact({ conditions, operations: [{ type: "set", key, value, ttlSeconds: schemas.ttlSeconds(ttl) }] });
  return { body: { status: "ok", key } };
}

async function deleteKey(kv: KvBackend, call: Call): Promise<Reply> {
  const key = keyOf(call);
  const results = await kv.transact({ conditions: writeConditions(key, call), operations: [{ type: "delete", key }] });
  return { body: { status: "ok", deleted: countTrue(results) } };
}

async function deleteBatch(kv: KvBackend, call: Call): Promise<Reply> {
  const { keys } = await call.json(schemas.keysBody);
  for (const key of keys) call.confine(key);
  const results = await kv.transact({ conditions: [], operations: keys.map((key) => ({ type: "delete", key })) });
  return { body: { status: "ok", deleted: countTrue(results) } };
}

async function listKeys(kv: KvBackend, call: Call): Promise<Reply> {
  const pattern = patternOf(call);
  const { limit, cursor } = call.query(schemas.keysQuery);
  if (limit === undefined && cursor === undefined) {
    return { headers: { "Content-Type": "application/json" }, body: keysText(kv.listKeys(pattern)) };
  }
  const page = await kv.pageKeys(pattern, limit ?? schemas.MAX_PAGE, cursor);
  return { body: { keys: page.keys, cursor: page.cursor ?? null } };
}

async function incrementKey(kv: KvBackend, call: Call): Promise<Reply> {
  const key = keyOf(call);
  const { by = 1n, ttl } = call.query(schemas.incrementQuery);
  const operation: Operation = { type: "increment", key, by, ttlSeconds: schemas.ttlSeconds(ttl) };
  const [sum] = await kv.transact({ conditions: [], operations: [operation] });
  return jsonText(`{"value":${String(sum)}}`);
}

async function keyExists(kv: KvBackend, call: Call): Promise<Reply> {
  return { body: { exists: await kv.exists(keyOf(call)) } };
}

async function keyTtl(kv: KvBackend, call: Call): Promise<Reply> {
  const expiresAt = await kv.expiresAt(keyOf(call));
  if (expiresAt === undefined) return { body: { ttl: -2 } };
  return { body: { ttl: expiresAt === Infinity ? -1 : Math.max(1, Math.ceil((expiresAt - Date.now()) / 1000)) } };
}

async function expireKey(kv: KvBackend, call: Call): Promise<Reply> {
  const key = keyOf(call);
  const { seconds } = await call.json(schemas.expireBody);
  const operation: Operation = { type: "expire", key, ttlSeconds: seconds ?? undefined };
  const [existed] = await kv.transact({ conditions: [], operations: [operation] });
  return { body: { status: existed === true ? "ok" : "key_not_found" } };
}

async function runTx(kv: KvBackend, call: Call): Promise<Reply> {
  const { if: wanted = [], ops } = await call.json(schemas.txBody);
  const conditions = wanted.map(({ key, e_tag }): Condition =>
    e_tag === undefined ? { key, ifNoneMatch: "*" } : { key, ifMatch: [e_tag] },
  );
  const operations = ops.map((op): Operation => {
    if (op.del !== undefined) return { type: "delete", key: op.del };
    const ttlSeconds = schemas.ttlSeconds(op.ttl);
    return op.set !== undefined
      ? { type: "set", key: op.set, value: schemas.bytesOf(op.value), ttlSeconds }
      : { type: "increment", key: op.increment, by: op.by ?? 1n, ttlSeconds };
  });
  for (const { key } of [...conditions, ...operations]) call.confine(key);
  const results = await kv.transact({ conditions, operations });
  return { body: { status: "ok", results: operations.map((operation, index) => txResult(operation, results[index])) } };
}

async function watchKeys(kv: KvBackend, call: Call): Promise<Reply> {
  return eventReply(call, eventsOf(await kv.watch(patternOf(call), call.ending)));
}

async function* eventsOf(changes: AsyncIterable<readonly Change[]>): AsyncGenerator<readonly ServerEvent[]> {
  for await (const batch of changes)
    yield batch.map(({ type, key }) => ({ event: type, data: JSON.stringify({ key }) }));
}

function txResult(operation: Operation, result: Result | undefined): unknown {
  if (operation.type === "set") return { set: operation.key, e_tag: `"${eTag(operation.value)}"` };
  if (typeof result === "bigint") return { increment: operation.key, value: exactInteger(result) };
  return { del: operation.key, deleted: Number(result) };
}

/** All that matches begins as the pattern does, up to its first sign with a meaning. */
function patternOf(call: Call): Glob {
  const pattern = glob(call.param("pattern"));
  call.confine(pattern.prefix);
  return pattern;
}

function keyOf(call: Call): string {
  const key = call.param("key");
  const fault = schemas.keyFault(key);
  if (fault !== undefined) throw badRequest(`key: ${fault}`, { details: [{ field: "key", message: fault }] });
  return key;
}

function writeConditions(key: string, call: Call): Condition[] {
  const conditions = preconditions(call.headers);
  return conditions === undefined ? [] : [{ key, ...conditions }];
}

function countTrue(results: readonly Result[]): number {
  return results.filter((result) => result === true).length;
}

function jsonText(text: string): Reply {
  return { headers: { "Content-Type": "application/json" }, body: text };
}

function jsonValue(value: Buffer | undefined): unknown {
  if (value === undefined) return null;
  return isUtf8(value) ? value.toString() : { base64: value.toString("base64") };
}

async function* keysText(portions: AsyncIterable<readonly string[]>): AsyncGenerator<Buffer> {
  let before = '{"keys":[';
  for await (const keys of portions) {
    yield Buffer.from(before + keys.map((key) => JSON.stringify(key)).join(","));
    before = ",";
  }
  yield Buffer.from(before === "," ? "]}" : `${before}]}`);
}
