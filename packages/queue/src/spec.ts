/** The queue routes in words, for `/openapi.json` and `/docs`. */

import type { Access, Spec } from "@mikcar/core";
import * as schemas from "./schemas.ts";

const IDEMPOTENCY = {
  "Idempotency-Key":
    "1 to 255 printable ASCII characters. For a day, the same key sends nothing more and returns the first id.",
};
const BODY = 'JSON stays as it is; other text becomes {"data": "…"}, other bytes {"base64": "…"}.';

const specs = {
  push: {
    summary: "Put a message into a queue",
    access: { needs: "write", confine: ":queue" },
    description: BODY,
    query: schemas.pushQuery,
    headers: IDEMPOTENCY,
    body: "bytes",
    replies: { 200: ["Kept by the broker", schemas.pushed] },
  },
  pushBatch: {
    summary: "Put many messages into a queue, in order",
    access: { needs: "write", confine: ":queue" },
    query: schemas.pushQuery,
    headers: IDEMPOTENCY,
    body: schemas.batchBody,
    replies: { 200: ["All kept by the broker", schemas.batchPushed] },
  },
  pop: {
    summary: "Take the next message of a queue, and wait for one when there is none",
    access: { needs: "write", confine: ":queue" },
    description:
      "Final: the message is gone once the answer is written. With ack=manual it is leased until it is acknowledged, " +
      "given back, or its visibility is over.",
    query: schemas.popQuery,
    replies: { 200: ["The message, or null when none came in time", schemas.popped] },
  },
  publish: {
    summary: "Give a message to every group of a topic",
    access: { needs: "write", confine: ":topic" },
    description: BODY,
    headers: IDEMPOTENCY,
    body: "bytes",
    replies: { 200: ["Kept by the broker", schemas.published] },
  },
  subscribe: {
    summary: "Take the next messages of a topic, and wait for one when there is none",
    access: { needs: "write", confine: ":topic" },
    description:
      "Leased until they are acknowledged, given back, or their visibility is over. Accept: text/event-stream streams them: " +
      "id and JSON of each, at most max_messages of them unacknowledged at a time.",
    query: schemas.subscribeQuery,
    headers: { Accept: "text/event-stream for a stream." },
    replies: { 200: ["As soon as there is one", schemas.subscribed] },
  },
  ack: {
    summary: "Acknowledge a leased message: it is gone",
    access: { needs: "write", confine: ":topic" },
    query: schemas.ackQuery,
    replies: { 200: ["It is gone", schemas.acknowledged] },
    errors: ["NOT_FOUND"],
  },
  nack: {
    summary: "Give a leased message back",
    access: { needs: "write", confine: ":topic" },
    description:
      "After max_deliveries of the backend's URL (5) it lies with the dead ones. The body may hold a reason.",
    query: schemas.nackQuery,
    replies: { 200: ["It can be taken again after the delay, or is dead", schemas.rejected] },
    errors: ["NOT_FOUND"],
  },
  len: {
    summary: "How many messages a queue has",
    access: { needs: "read", confine: ":queue" },
    query: schemas.sourceQuery,
    replies: { 200: ["Zeros for a queue that nobody has used", schemas.length] },
  },
  peek: {
    summary: "Look at the waiting messages",
    access: { needs: "read", confine: ":queue" },
    query: schemas.listQuery,
    replies: { 200: ["The next ones, the oldest first", schemas.peeked] },
    errors: ["UNSUPPORTED"],
  },
  purge: {
    summary: "Remove the waiting messages",
    access: { needs: "write", confine: ":queue" },
    description: "Those leased, delayed and dead stay.",
    query: schemas.sourceQuery,
    replies: { 200: ["How many they were", schemas.purged] },
  },
  dead: {
    summary: "Look at the dead messages",
    access: { needs: "read", confine: ":queue" },
    query: schemas.listQuery,
    replies: { 200: ["The oldest first, each with the last reason", schemas.dead] },
  },
  redrive: {
    summary: "Make dead messages wait again, with a count of 0",
    access: { needs: "write", confine: ":queue" },
    query: schemas.redriveQuery,
    replies: { 200: ["How many", schemas.redriven] },
  },
} satisfies Record<string, Spec & { readonly access: Access }>;

export const spec: Readonly<Record<keyof typeof specs, Spec>> = specs;
