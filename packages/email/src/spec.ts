/** The email routes in words, for `/openapi.json` and `/docs`. */

import type { Access, Spec } from "@mikcar/core";
import * as schemas from "./schemas.ts";

const specs = {
  send: {
    summary: "Send an email",
    access: { needs: "write", confine: "nothing" },
    description:
      "Answers when the mail server has taken it for at least one recipient. A repeat after 503 may send it twice when the " +
      "connection was lost at the end. A client that leaves does not stop it.",
    headers: {
      "Idempotency-Key":
        "1 to 255 printable ASCII characters. For a day, the same key sends nothing more and returns the first id; " +
        "what failed is not remembered.",
    },
    body: schemas.emailBody,
    replies: {
      200: ["The mail server has it", schemas.sent],
      502: ["The mail server refuses it", schemas.notSent],
      503: ["The mail server does not answer, or refuses it for now", schemas.notSent],
    },
  },
  sendBatch: {
    summary: "Send many emails, each on its own",
    access: { needs: "write", confine: "nothing" },
    description: "In parallel over pooled connections. What is wrong with one email fails that one alone.",
    headers: {
      "Idempotency-Key": "Counts for each place in the batch: a repeat sends only what has failed.",
    },
    body: schemas.batchSpec,
    replies: { 200: ["What became of each, in the order given", schemas.batchSent] },
  },
  listOutbox: {
    summary: "The emails that were caught instead of being sent, the newest first",
    access: { needs: "read" },
    description: "A page has at most 16 MiB of messages, or one.",
    query: schemas.outboxQuery,
    replies: { 200: ["Without the content of attachments", schemas.outboxPage] },
    errors: ["UNSUPPORTED", "UNAVAILABLE"],
  },
  getOutbox: {
    summary: "An email that was caught",
    access: { needs: "read" },
    replies: { 200: ["With its attachments", schemas.outboxEmail] },
    errors: ["NOT_FOUND", "UNSUPPORTED", "UNAVAILABLE"],
  },
  clearOutbox: {
    summary: "Remove the emails that were caught",
    access: { needs: "write" },
    replies: { 200: ["How many", schemas.cleared] },
    errors: ["UNSUPPORTED", "UNAVAILABLE"],
  },
} satisfies Record<string, Spec & { readonly access: Access }>;

export const spec: Readonly<Record<keyof typeof specs, Spec>> = specs;
