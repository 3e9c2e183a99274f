/** The routes in words and schemas, by handler. */

import type { Access, Spec } from "@mikcar/core";
import {
  batch,
  batchDeleted,
  created,
  deleted,
  listing,
  listQuery,
  presigned,
  presignRequest,
  transfer,
  transferred,
} from "./schemas.ts";

const CONDITIONS = {
  "If-Match": "Only if the object has one of these entity tags; `*`: only if there is one",
  "If-None-Match": "Only if the object has none of these entity tags; `*`: only if there is none",
};
const READ_CONDITIONS = {
  ...CONDITIONS,
  "If-Modified-Since": "304 unless it was written after this HTTP date",
  "If-Unmodified-Since": "412 if it was written after this HTTP date",
};

/** A route of ours says what it asks of a token. */
type Decided = Spec & { readonly access: Access };

const getObject: Decided = {
  summary: "Read an object",
  access: { needs: "read", confine: ":path" },
  description: "Several ranges, or a range that cannot be read, are answered as if none had been asked for.",
  headers: {
    ...READ_CONDITIONS,
    Range: "One range of bytes: `bytes=0-99`, `bytes=100-` or `bytes=-100`",
    "If-Range": "Entity tag or HTTP date: the range only if it is this version, else all of it",
  },
  replies: {
    200: ["The bytes", "bytes"],
    206: ["The range, with Content-Range", "bytes"],
    304: ["The version that If-None-Match or If-Modified-Since speaks of"],
  },
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", "RANGE_NOT_SATISFIABLE", "UNAVAILABLE"],
};

const headObject: Decided = {
  summary: "The headers of an object",
  access: { needs: "read", confine: ":path" },
  headers: READ_CONDITIONS,
  replies: {
    200: ["The headers of GET, and X-Object-Size and X-Last-Modified (RFC 3339)"],
    304: ["The version that If-None-Match or If-Modified-Since speaks of"],
  },
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", "UNAVAILABLE"],
};

const putObject: Decided = {
  summary: "Store the body as an object",
  access: { needs: "write", confine: ":path" },
  description: "Readers see the old object or the new one, never a part. `X-Meta-*` headers are kept, 8 KiB in all.",
  headers: {
    ...CONDITIONS,
    "Content-Type": "Kept; application/octet-stream when absent",
    "Cache-Control": "Kept",
    "Content-MD5": "Verified: 16 bytes in base64",
    "X-Checksum-Sha256": "Verified: 32 bytes in hexadecimal or base64",
  },
  body: "bytes",
  replies: { 201: ["Stored", created] },
  errors: ["PRECONDITION_FAILED", "UNPROCESSABLE", "CONFLICT", "UNAVAILABLE"],
};

const deleteObject: Decided = {
  summary: "Delete an object",
  access: { needs: "write", confine: ":path" },
  headers: CONDITIONS,
  replies: { 200: ["Deleted", deleted] },
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", "UNAVAILABLE"],
};

const listObjects: Decided = {
  summary: "List objects in byte order of their paths",
  access: { needs: "read", confine: "handler" },
  query: listQuery,
  replies: { 200: ["One page", listing] },
  errors: ["UNAVAILABLE"],
};

const listBelow: Decided = {
  ...listObjects,
  access: { needs: "read", confine: "handler" },
  summary: "List objects below a prefix of whole path segments",
  description: "`a` lists `a/x`; it lists neither `ab` nor `a` itself.",
};

const copyObject: Decided = {
  summary: "Copy an object with its headers, over whatever is there",
  access: { needs: "write", confine: "handler" },
  body: transfer,
  replies: { 200: ["Copied", transferred] },
  errors: ["NOT_FOUND", "CONFLICT", "UNAVAILABLE"],
};

const moveObject: Decided = {
  ...copyObject,
  access: { needs: "write", confine: "handler" },
  summary: "Move an object with its headers, over whatever is there",
  replies: { 200: ["Moved", transferred] },
};

const deleteBatch: Decided = {
  summary: "Delete up to 1000 objects",
  access: { needs: "write", confine: "handler" },
  description: "What is absent is no error and does not count. What cannot be deleted is named, and the rest goes on.",
  body: batch,
  replies: { 200: ["Done", batchDeleted] },
  errors: ["UNAVAILABLE"],
};

const presignObject: Decided = {
  summary: "Make a URL that reads or writes one object without a token",
  access: { needs: "read", confine: ":path" },
  description: "Without a body and a content type: a GET for 900 seconds.",
  body: presignRequest,
  replies: { 200: ["The URL", presigned] },
};

export const spec = {
  getObject,
  headObject,
  putObject,
  deleteObject,
  listObjects,
  listBelow,
  copyObject,
  moveObject,
  deleteBatch,
  presignObject,
} as const;
