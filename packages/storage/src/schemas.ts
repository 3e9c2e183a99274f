/** The JSON and the query parameters of the routes. */

import { z } from "@mikcar/core/zod";

export const MAX_BATCH = 1000;
const MAX_EXPIRY_SECONDS = 604_800; // a week, which is also the most that S3 signs for

const path = z.string().describe("1 to 1024 bytes of UTF-8; no empty, `.` or `..` segment");
const eTag = z.string().describe("With its quotes, as in the ETag header: ready for If-Match");

export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
  offset: z.string().optional().describe("The `next_offset` of the page before, or any location"),
  delimiter: z.literal("/").optional().describe("Fold what lies in deeper folders into `prefixes`"),
});

export const transfer = z.object({ from: path, to: path });

export const batch = z.object({ paths: z.array(z.string()).max(MAX_BATCH) });

export const presignRequest = z.object({
  method: z.enum(["GET", "PUT"]).default("GET"),
  expires_in: z.number().int().min(1).max(MAX_EXPIRY_SECONDS).default(900).describe("Seconds"),
});

export const created = z.object({ status: z.literal("created"), path, size: z.number(), e_tag: eTag });

export const deleted = z.object({ status: z.literal("deleted"), path });

export const listing = z.object({
  objects: z.array(z.object({ location: path, size: z.number(), last_modified: z.iso.datetime(), e_tag: eTag })),
  prefixes: z.array(z.string()).optional().describe("With `delimiter` only; each ends in a slash"),
  next_offset: z.string().nullable().describe("`offset` of the next page; null: this was the last"),
});

export const transferred = z.object({
  status: z.enum(["copied", "moved"]),
  from: path,
  to: path,
  size: z.number(),
  e_tag: eTag,
});

export const batchDeleted = z.object({
  deleted: z.number().describe("How many objects there were"),
  errors: z.array(z.object({ path: z.string(), error: z.string(), code: z.string() })),
});

export const presigned = z.object({
  url: z.string(),
  expires_at: z.iso.datetime(),
  headers: z.record(z.string(), z.string()).describe("What the request to the URL must carry; mostly nothing"),
});
