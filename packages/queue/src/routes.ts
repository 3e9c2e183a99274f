/** The queue routes; see `docs/contract.md`, section 6. */

import {
  badRequest,
  type Call,
  eventReply,
  exactInteger,
  isMikcarError,
  notFound,
  type Reply,
  type Routes,
  unprocessable,
} from "@mikcar/core";
import { DEFAULT_GROUP, type Message, type Sending, type Source } from "./backend.ts";
import type { Broker } from "./broker.ts";
import { FINAL_LEASE_MS } from "./finals.ts";
import { asJson } from "./payload.ts";
import * as schemas from "./schemas.ts";
import { spec } from "./spec.ts";

// prettier-ignore
export const routes: Routes<Broker> = [
  ["POST", "/push/:queue",         push,          spec.push],
  ["POST", "/push/:queue/batch",   pushBatch,     spec.pushBatch],
  ["GET",  "/pop/:queue",          pop,           spec.pop],
  ["POST", "/publish/:topic",      publish,       spec.publish],
  ["GET",  "/subscribe/:topic",    subscribe,     spec.subscribe],
  ["POST", "/ack/:topic/:id",      ack,           spec.ack],
  ["POST", "/nack/:topic/:id",     nack,          spec.nack],
  ["GET",  "/len/:queue",          length,        spec.len],
  ["GET",  "/peek/:queue",         peek,          spec.peek],
  ["POST", "/purge/:queue",        purge,         spec.purge],
  ["GET",  "/dead/:queue",         dead,          spec.dead],
  ["POST", "/dead/:queue/redrive", redrive,       spec.redrive],
];

const TIMEOUT_S = 30;
const VISIBILITY_S = 30;
const MAX_MESSAGES = 10;
const NO_REASON = "given back by its consumer";
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
const EVENTS = /\btext\/event-stream\b/i;
const JSON_TYPE = { "Content-Type": "application/json" };

async function push({ backend }: Broker, call: Call): Promise<Reply> {
  const queue = nameOf(call, "queue");
  const sending = sendingOf(call, call.query(schemas.pushQuery).delay);
  const [id = ""] = await backend.push(queue, [asJson(await call.bytes())], sending);
  return { body: { status: "pushed", queue, message_id: id } };
}

async function pushBatch({ backend }: Broker, call: Call): Promise<Reply> {
  const queue = nameOf(call, "queue");
  const sending = sendingOf(call, call.query(schemas.pushQuery).delay);
  const { messages } = await call.json(schemas.batchBody);
  const ids = await backend.push(queue, messages.map(jsonText), sending);
  return { body: { status: "pushed", queue, message_ids: ids } };
}

async function pop(broker: Broker, call: Call): Promise<Reply> {
  const source: Source = { name: nameOf(call, "queue"), group: undefined };
  const { timeout = TIMEOUT_S, ack: mode, visibility = VISIBILITY_S } = call.query(schemas.popQuery);
  const isFinal = mode !== "manual";
  const waitMs = timeout * 1000;
  call.extend(waitMs);
  const visibilityMs = isFinal ? FINAL_LEASE_MS : Math.round(visibility * 1000);
  const [message] = await broker.waiting.take(source, { max: 1, visibilityMs, waitMs, caller: call });
  const queue = JSON.stringify(source.name);
  if (message === undefined) return jsonReply(`{"message":null,"queue":${queue}}`);
  call.extend(0);
  const deliveries = isFinal ? undefined : message.deliveries;
  return {
    ...jsonReply(`{"message":${messageText(message, { deliveries, received_at: now() })},"queue":${queue}}`),
    onEnd: (isSent) => {
      if (!isSent) giveBack(broker, source, [message], visibilityMs);
      else if (isFinal) broker.finals.settle(source, message.id);
    },
  };
}

async function publish({ backend }: Broker, call: Call): Promise<Reply> {
  const topic = nameOf(call, "topic");
  const sending = sendingOf(call, undefined);
  const [id = ""] = await backend.publish(topic, [asJson(await call.bytes())], sending);
  return { body: { status: "published", topic, message_id: id } };
}

async function subscribe(broker: Broker, call: Call): Promise<Reply> {
  const topic = nameOf(call, "topic");
  const query = call.query(schemas.subscribeQuery);
  const { timeout = TIMEOUT_S, max_messages: max = MAX_MESSAGES, visibility = VISIBILITY_S } = query;
  const source: Source = { name: topic, group: query.group ?? DEFAULT_GROUP };
  const wanted = { max, visibilityMs: Math.round(visibility * 1000), caller: call };
  if (EVENTS.test(call.headers.accept ?? "")) return eventReply(call, broker.streams.events(source, wanted, leaseText));
  call.extend(timeout * 1000);
  const messages = await broker.waiting.take(source, { ...wanted, waitMs: timeout * 1000 });
  call.extend(0);
  const texts = messages.map(leaseText).join(",");
  return {
    ...jsonReply(`{"messages":[${texts}],"topic":${JSON.stringify(topic)},"count":${messages.length}}`),
    onEnd: (isSent) => {
      if (!isSent && messages.length > 0) giveBack(broker, source, messages, wanted.visibilityMs);
    },
  };
}

async function ack(broker: Broker, call: Call): Promise<Reply> {
  const topic = nameOf(call, "topic");
  const id = call.param("id");
  const sources = holders(topic, call.query(schemas.ackQuery).group);
  const done = await Promise.all(sources.map((source) => broker.backend.ack(source, [id])));
  if (!done.flat().includes(true) && !sources.some((source) => broker.finals.hasTaken(source, id))) throw noLease(id);
  for (const source of sources) broker.streams.settled(source, id);
  return { body: { status: "acknowledged", topic, message_id: id } };
}

async function nack(broker: Broker, call: Call): Promise<Reply> {
  const topic = nameOf(call, "topic");
  const id = call.param("id");
  const { group, delay = 0, reason = NO_REASON } = call.query(schemas.nackQuery);
  const sources = holders(topic, group);
  const done = await Promise.all(
    sources.map((source) => broker.backend.nack(source, id, Math.round(delay * 1000), reason)),
  );
  if (!done.includes(true)) throw noLease(id);
  for (const source of sources) broker.streams.settled(source, id);
  return { body: { status: "rejected", topic, message_id: id } };
}

async function length({ backend }: Broker, call: Call): Promise<Reply> {
  const source = sourceOf(call, call.query(schemas.sourceQuery).group);
  const { waiting, leased = null, delayed = null, dead: buried } = await backend.count(source);
  return { body: { queue: source.name, length: waiting, leased, delayed, dead: buried } };
}

async function peek({ backend }: Broker, call: Call): Promise<Reply> {
  const { group, max_messages: max = MAX_MESSAGES } = call.query(schemas.listQuery);
  const source = sourceOf(call, group);
  const messages = await backend.peek(source, max);
  return listReply(
    source,
    messages.map((message) => messageText(message, { deliveries: message.deliveries })),
  );
}

async function purge({ backend }: Broker, call: Call): Promise<Reply> {
  const source = sourceOf(call, call.query(schemas.sourceQuery).group);
  return { body: { status: "purged", queue: source.name, count: await backend.purge(source) } };
}

async function dead({ backend }: Broker, call: Call): Promise<Reply> {
  const { group, max_messages: max = MAX_MESSAGES } = call.query(schemas.listQuery);
  const source = sourceOf(call, group);
  const messages = await backend.listDead(source, max);
  const texts = messages.map((message) => {
    const { deliveries, reason, diedAt } = message;
    return messageText(message, { deliveries, reason, died_at: diedAt.toISOString() });
  });
  return listReply(source, texts);
}

async function redrive({ backend }: Broker, call: Call): Promise<Reply> {
  const { group, max_messages: max = Infinity } = call.query(schemas.redriveQuery);
  const source = sourceOf(call, group);
  return { body: { status: "redriven", queue: source.name, count: await backend.redrive(source, max) } };
}

function giveBack(broker: Broker, source: Source, messages: readonly Message[], visibilityMs: number): void {
  const ids = messages.map(({ id }) => id);
  broker.errands.run(() => broker.backend.release(source, ids), visibilityMs);
}

function nameOf(call: Call, param: "queue" | "topic"): string {
  const name = call.param(param);
  const fault = schemas.nameFault(name);
  if (fault !== undefined) throw badRequest(`${param}: ${fault}`, { details: [{ field: param, message: fault }] });
  return name;
}

function sourceOf(call: Call, group: string | undefined): Source {
  return { name: nameOf(call, "queue"), group };
}

/** Where a message with a lease may be: without a group, the name may be a queue's or a topic's. Ids tell them apart. */
function holders(name: string, group: string | undefined): readonly Source[] {
  if (group !== undefined) return [{ name, group }];
  return [
    { name, group: undefined },
    { name, group: DEFAULT_GROUP },
  ];
}

function sendingOf(call: Call, delay: number | undefined): Sending {
  const idempotencyKey = call.headers["idempotency-key"];
  if (Array.isArray(idempotencyKey) || (idempotencyKey !== undefined && !IDEMPOTENCY_KEY.test(idempotencyKey)))
    throw badRequest("Idempotency-Key: expected 1 to 255 printable ASCII characters");
  return { delayMs: Math.round((delay ?? 0) * 1000), idempotencyKey };
}

function noLease(id: string): Error {
  return notFound(
    `no lease of message "${id}": it was settled before, its time is up, or (on RabbitMQ) another sidecar gave it out`,
  );
}

function listReply(source: Source, texts: readonly string[]): Reply {
  const queue = JSON.stringify(source.name);
  return jsonReply(`{"messages":[${texts.join(",")}],"queue":${queue},"count":${texts.length}}`);
}

function leaseText(message: Message): string {
  return messageText(message, { deliveries: message.deliveries, received_at: now() });
}

/** The payload goes out as it came, to the last digit. */
function messageText({ id, payload }: Message, more: Readonly<Record<string, unknown>>): string {
  return `{"id":${JSON.stringify(id)},"payload":${payload},${JSON.stringify(more).slice(1)}`;
}

/** What `JSON.parse` made of a message, as text again; integers keep all their digits. @throws UNPROCESSABLE. */
function jsonText(value: unknown, index: number): string {
  const write = (_key: string, part: unknown): unknown => {
    if (typeof part === "bigint") return exactInteger(part);
    if (typeof part !== "number" || Number.isFinite(part)) return part;
    throw unprocessable(`messages.${index}: a number is too large for a batch; push it alone`);
  };
  try {
    return JSON.stringify(value, write);
  } catch (cause) {
    if (isMikcarError(cause)) throw cause;
    // Its parser reads what its writer cannot write: some thousand arrays in each other, say.
    throw unprocessable(`messages.${index}: nested too deeply; push it alone`, { cause });
  }
}

function now(): string {
  return new Date().toISOString();
}

function jsonReply(text: string): Reply {
  return { headers: JSON_TYPE, body: text };
}
