/** The sql routes in words, for `/openapi.json` and `/docs`. */

import type { Access, Spec } from "@mikcar/core";
import * as schemas from "./schemas.ts";

const specs = {
  query: {
    summary: "The rows a statement gives",
    access: { needs: "read" },
    description:
      "Any statement with rows, INSERT … RETURNING too. Integers come in all their digits, NUMERIC as a string, times as RFC 3339, " +
      "bytes as base64. Accept: application/x-ndjson streams one row a line.",
    headers: { Accept: "application/x-ndjson: one row a line, in constant memory." },
    body: schemas.queryBody,
    replies: { 200: ["The rows", schemas.rowsReply] },
    errors: ["SQL_ERROR", "CONFLICT", "PAYLOAD_TOO_LARGE"],
  },
  execute: {
    summary: "Run a statement",
    access: { needs: "read" },
    body: schemas.executeBody,
    replies: { 200: ["Done", schemas.affectedReply] },
    errors: ["SQL_ERROR", "CONFLICT"],
  },
  batch: {
    summary: "Run statements in one transaction",
    access: { needs: "read" },
    description: "All or nothing; details.statement is the index of the one that failed.",
    body: schemas.batchBody,
    replies: { 200: ["All are done", schemas.batchReply] },
    errors: ["SQL_ERROR", "CONFLICT"],
  },
  script: {
    summary: "Run a script in one transaction",
    access: { needs: "read" },
    description:
      "JavaScript without I/O but sql.query(text, params) and sql.execute(text, params). It commits at its normal end, and rolls " +
      "back when it throws, when a statement fails or when it reaches a limit. It is run again when it lost to another transaction.",
    body: schemas.scriptBody,
    replies: { 200: ["What it returned", schemas.scriptReply] },
    errors: ["SQL_ERROR", "CONFLICT", "SCRIPT_ERROR", "SCRIPT_TIMEOUT", "SCRIPT_MEMORY"],
  },
} satisfies Record<string, Spec & { readonly access: Access }>;

export const spec: Readonly<Record<keyof typeof specs, Spec>> = specs;
