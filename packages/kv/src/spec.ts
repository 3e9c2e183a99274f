/** The kv routes in words, for `/openapi.json` and `/docs`. */

import type { Access, Spec } from "@mikcar/core";
import { z } from "@mikcar/core/zod";
import * as schemas from "./schemas.ts";

const IF_MATCH = { "If-Match": "Only when the value present has one of these tags, or is there at all (*); else 412." };
const IF_NONE_MATCH = {
  "If-None-Match": "Only when nothing is there (*), or a value of none of these tags; else 412.",
};

const specs = {
  get: {
    summary: "The value of a key",
    access: { needs: "read", confine: ":key" },
    description: "text/plain when it is UTF-8, else application/octet-stream. If-None-Match with its tag answers 304.",
    headers: { "If-None-Match": "Tags the caller has; one of them answers 304 without the value." },
    replies: { 200: ["The value", "bytes"], 304: ["The caller has it"] },
    errors: ["NOT_FOUND"],
  },
  getBatch: {
    summary: "The values of many keys",
    access: { needs: "read", confine: "handler" },
    description: 'Text as a string, other bytes as {"base64": "…"}, an absent key as null.',
    body: schemas.keysBody,
    replies: { 200: ["By key", z.record(z.string(), schemas.valueSchema.nullable())] },
  },
  set: {
    summary: "Store the body under a key",
    access: { needs: "write", confine: ":key" },
    description: "An earlier expiry is gone, unless ttl sets a new one.",
    query: schemas.setQuery,
    headers: { ...IF_MATCH, ...IF_NONE_MATCH },
    body: "bytes",
    replies: { 200: ["Stored, and durable", schemas.ok.extend({ key: z.string() })] },
    errors: ["PRECONDITION_FAILED"],
  },
  setBatch: {
    summary: "Store many keys, all or nothing",
    access: { needs: "write", confine: "handler" },
    query: schemas.ttlQuery,
    body: schemas.entriesBody,
    replies: { 200: ["Stored, and durable", schemas.ok.extend({ count: z.int() })] },
  },
  del: {
    summary: "Delete a key",
    access: { needs: "write", confine: ":key" },
    headers: IF_MATCH,
    replies: { 200: ["deleted: whether it was there", schemas.deleted] },
    errors: ["PRECONDITION_FAILED"],
  },
  delBatch: {
    summary: "Delete many keys, all or nothing",
    access: { needs: "write", confine: "handler" },
    body: schemas.keysBody,
    replies: { 200: ["deleted: how many were there", schemas.deleted] },
  },
  keys: {
    summary: "Keys that match a pattern, in byte order",
    access: { needs: "read", confine: "handler" },
    description:
      "* any characters, ? one, [a-z] and [^a-z] one of a set, \\ makes the next one literal. The cost follows the keys " +
      "that share the literal beginning. With limit there is a cursor, null at the end; without it all keys are streamed.",
    query: schemas.keysQuery,
    replies: { 200: ["Live keys", schemas.keyPage] },
  },
  increment: {
    summary: "Add to a number",
    access: { needs: "write", confine: ":key" },
    description: "Atomic and exact to 64 bits; an absent key counts as 0, and the expiry is kept.",
    query: schemas.incrementQuery,
    replies: { 200: ["The sum", schemas.counted] },
    errors: ["CONFLICT"],
  },
  exists: {
    summary: "Whether a key is there",
    access: { needs: "read", confine: ":key" },
    replies: { 200: ["Whether it is", z.object({ exists: z.boolean() })] },
  },
  ttl: {
    summary: "Seconds until a key expires",
    access: { needs: "read", confine: ":key" },
    replies: { 200: ["Rounded up; -1 without an expiry, -2 when absent", z.object({ ttl: z.int() })] },
  },
  expire: {
    summary: "Set or remove the expiry of a key",
    access: { needs: "write", confine: ":key" },
    body: schemas.expireBody,
    replies: { 200: ["Done, or no such key", z.object({ status: z.enum(["ok", "key_not_found"]) })] },
  },
  tx: {
    summary: "Conditions and changes of several keys as one step",
    access: { needs: "write", confine: "handler" },
    description: "All conditions hold and all changes are made, in order; or 412 and none is.",
    body: schemas.txBody,
    replies: { 200: ["All was done, one result each", schemas.txReply] },
    errors: ["PRECONDITION_FAILED", "CONFLICT"],
  },
  watch: {
    summary: "What happens to the keys that match a pattern, from now on",
    access: { needs: "read", confine: "handler" },
    description:
      'Server-sent events set, del and expired, each with {"key": …} as its data. The connection is cut when changes may ' +
      "have been missed, or when the client reads too slowly.",
    replies: { 200: ["Until the client leaves", "events"] },
    errors: ["UNSUPPORTED"],
  },
} satisfies Record<string, Spec & { readonly access: Access }>;

export const spec: Readonly<Record<keyof typeof specs, Spec>> = specs;
