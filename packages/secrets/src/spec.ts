/** The secrets routes in words, for `/openapi.json` and `/docs`. */

import type { Access, Spec } from "@mikcar/core";
import * as schemas from "./schemas.ts";

const specs = {
  read: {
    summary: "The value of a secret",
    access: { needs: "read", confine: ":name" },
    description: "labels is null where the sidecar may read the value and not the labels.",
    query: schemas.readQuery,
    replies: { 200: ["The value, never to be cached by anyone in between", schemas.secret] },
    errors: ["NOT_FOUND"],
  },
  create: {
    summary: "Store a new secret",
    access: { needs: "write", confine: ":name" },
    body: schemas.createBody,
    replies: { 201: ["Stored", schemas.written("created")] },
    errors: ["CONFLICT", "UNSUPPORTED"],
  },
  update: {
    summary: "Give a secret a new value",
    access: { needs: "write", confine: ":name" },
    description: "It becomes the newest version; earlier ones stay as long as the backend keeps them.",
    body: schemas.updateBody,
    replies: { 200: ["Stored", schemas.written("updated")] },
    errors: ["NOT_FOUND", "UNSUPPORTED"],
  },
  remove: {
    summary: "Delete a secret with all its versions",
    access: { needs: "write", confine: ":name" },
    replies: { 200: ["Deleted", schemas.written("deleted")] },
    errors: ["NOT_FOUND", "UNSUPPORTED"],
  },
  exists: {
    summary: "Whether there is such a secret",
    access: { needs: "read", confine: ":name" },
    replies: { 200: ["Whether there is", schemas.existence] },
  },
  list: {
    summary: "The secrets there are, without their values",
    access: { needs: "read", confine: "handler" },
    description: "In order of their names, at every level. With limit there is a cursor, null at the end.",
    query: schemas.listQuery,
    replies: { 200: ["Below the prefix", schemas.page] },
  },
  versions: {
    summary: "The versions of a secret, the newest first",
    access: { needs: "read", confine: ":name" },
    replies: { 200: ["Those the backend still has", schemas.history] },
    errors: ["NOT_FOUND", "UNSUPPORTED"],
  },
} satisfies Record<string, Spec & { readonly access: Access }>;

export const spec: Readonly<Record<keyof typeof specs, Spec>> = specs;
