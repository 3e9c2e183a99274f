/** The JSON of the kv routes, in and out, and their query parameters. */

import { unprocessable } from "@mikcar/core";
import { z } from "@mikcar/core/zod";
import { isInt64 } from "./value.ts";

export const MAX_KEYS = 1000;
export const MAX_PAGE = 10_000;
const MAX_KEY_BYTES = 1024;
const MAX_TTL_SECONDS = 100_000_000_000; // some 3 000 years, far below what a date can hold
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** What is wrong with a key, or undefined: it has 1 to 1024 bytes of UTF-8. */
export function keyFault(key: string): string | undefined {
  if (key === "") return "a key has at least one byte";
  if (key.length > MAX_KEY_BYTES || Buffer.byteLength(key) > MAX_KEY_BYTES)
    return `a key has at most ${MAX_KEY_BYTES} bytes`;
  return key.isWellFormed() ? undefined : "a key is UTF-8; this one has half of a surrogate pair";
}

export const keySchema = z
  .string()
  .refine((key) => keyFault(key) === undefined, { error: ({ input }) => keyFault(String(input)) ?? "not a key" })
  .meta({ description: `1 to ${MAX_KEY_BYTES} bytes of UTF-8` });

const base64 = z.string().regex(BASE64, "expected base64").meta({ contentEncoding: "base64" });
const VALUE_FAULT = 'expected a string of whole characters, or {"base64": "…"}'; // half a surrogate pair has no bytes
const text = z.string().refine((value) => value.isWellFormed());
export const valueSchema = z
  .union([text, z.object({ base64 })], { error: VALUE_FAULT })
  .meta({ description: 'Text, or {"base64": "…"} for bytes that are not UTF-8.' });
type JsonValue = z.infer<typeof valueSchema>;

const integerText = z.union([z.int(), z.bigint(), z.string().regex(/^-?\d{1,20}$/, "expected an integer")]);
/** A 64-bit integer: a JSON number, its digits in a string, or (from a URL) text. */
export const int64Schema = integerText
  .transform((value) => BigInt(value))
  .refine(isInt64, "expected an integer of at most 64 bits");

const ttl = z.int().min(0).max(MAX_TTL_SECONDS);
const ttlText = z
  .string()
  .regex(/^\d{1,12}$/, "expected a whole number of seconds, 0 or more")
  .transform(Number)
  .refine((seconds) => seconds <= MAX_TTL_SECONDS, `expected at most ${MAX_TTL_SECONDS} seconds`)
  .meta({ description: "Seconds until the key expires; 0 or absent: never." });

/** 0 means no expiry, as absent does. */
export function ttlSeconds(ttl: number | undefined): number | undefined {
  return ttl === 0 ? undefined : ttl;
}

export const ttlQuery = z.object({ ttl: ttlText.optional() });
export const setQuery = z.object({
  ttl: ttlText.optional(),
  if: z.enum(["absent", "present"]).optional().meta({ description: "Store only when the key is absent, or present." }),
});
export const incrementQuery = z.object({
  by: int64Schema.optional().meta({ description: "What to add, negative too; 1 when absent." }),
  ttl: ttlText.optional().meta({ description: "Seconds until the key expires, when this call makes it." }),
});
export const keysQuery = z.object({
  limit: z
    .string()
    .regex(/^\d{1,5}$/, "expected a number")
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `expected 1 to ${MAX_PAGE}`)
    .optional()
    .meta({ description: `Keys per page, 1 to ${MAX_PAGE}; absent: all of them.` }),
  cursor: z.string().optional().meta({ description: "Of the page before; it works with and without limit." }),
});

export const keysBody = z.object({ keys: z.array(keySchema).max(MAX_KEYS) });
export const expireBody = z.object({
  seconds: z.int().max(MAX_TTL_SECONDS).nullable().meta({ description: "0 or less deletes; null removes the expiry." }),
});
/** For the documentation; `entries` checks, as an object schema would lose a key named `__proto__`. */
export const entriesBody = z.record(z.string(), valueSchema);

const eTagText = z.string().transform((tag) => tag.replace(/^(?:W\/)?"(.*)"$/, "$1"));
const condition = z
  .object({ key: keySchema, e_tag: eTagText.optional(), absent: z.literal(true).optional() })
  .refine(
    ({ e_tag, absent }) => (e_tag === undefined) !== (absent === undefined),
    'expected either "e_tag" or "absent": true',
  );
/** An operation has one verb. */
const absent = z.never().optional();
const operation = z.union(
  [
    z.object({ set: keySchema, value: valueSchema, ttl: ttl.optional(), del: absent, increment: absent }),
    z.object({ del: keySchema, set: absent, increment: absent }),
    z.object({ increment: keySchema, by: int64Schema.optional(), ttl: ttl.optional(), set: absent, del: absent }),
  ],
  { error: 'expected {"set", "value", "ttl"}, {"del"} or {"increment", "by", "ttl"} with a key of 1 to 1024 bytes' },
);
export const txBody = z.object({
  if: z.array(condition).max(MAX_KEYS).optional(),
  ops: z.array(operation).min(1).max(MAX_KEYS),
});

export const ok = z.object({ status: z.literal("ok") });
export const deleted = ok.extend({ deleted: z.int() });
export const keyPage = z.object({ keys: z.array(z.string()), cursor: z.string().nullable().optional() });
const int64Out = z.int().meta({ description: "Up to 64 bits, in all its digits." });
export const counted = z.object({ value: int64Out });
export const txReply = ok.extend({
  results: z.array(
    z.union([
      z.object({ set: z.string(), e_tag: z.string() }),
      z.object({ del: z.string(), deleted: z.int() }),
      z.object({ increment: z.string(), value: int64Out }),
    ]),
  ),
});

/** @throws UNPROCESSABLE naming each key that is wrong. */
export function entries(body: unknown): [key: string, value: Buffer][] {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw unprocessable("body: expected an object of keys and values");
  const pairs = Object.entries(body);
  const details = pairs.flatMap(([field, value]) => {
    const result = valueSchema.safeParse(value);
    const message = keyFault(field) ?? (result.success ? undefined : VALUE_FAULT);
    return message === undefined ? [] : [{ field, message }];
  });
  if (pairs.length > MAX_KEYS) details.push({ field: "body", message: `expected at most ${MAX_KEYS} keys` });
  const first = details[0];
  if (first !== undefined) throw unprocessable(`${first.field.slice(0, 100)}: ${first.message}`, { details });
  return pairs.map(([key, value]) => [key, bytesOf(value)]);
}

export function bytesOf(value: JsonValue): Buffer {
  return typeof value === "string" ? Buffer.from(value) : Buffer.from(value.base64, "base64");
}
