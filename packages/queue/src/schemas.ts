/** The JSON of the queue routes, in and out, and their query parameters. */

import { z } from "@mikcar/core/zod";

export const MAX_BATCH = 1000;
/** Of one answer. */
export const MAX_MESSAGES = 1000;
const MAX_NAME_BYTES = 200;
const MAX_TIMEOUT = 60;
const MAX_VISIBILITY = 43_200;
const MAX_DELAY = 2_592_000;
const MAX_REASON = 1000;
const CONTROL = /\p{Cc}/u;

/** What is wrong with the name of a queue, topic or group; undefined: nothing. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "a name has at least one byte";
  if (name.length > MAX_NAME_BYTES || Buffer.byteLength(name) > MAX_NAME_BYTES)
    return `a name has at most ${MAX_NAME_BYTES} bytes`;
  if (CONTROL.test(name)) return "a name has no control characters";
  return name.isWellFormed() ? undefined : "a name is UTF-8; this one has half of a surrogate pair";
}

function seconds(min: number, max: number, what: string): z.ZodType<number | undefined> {
  return z
    .string()
    .regex(/^\d{1,8}(?:\.\d{1,3})?$/, `expected seconds, ${min} to ${max}, with up to three decimals`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected ${min} to ${max} seconds`)
    .optional()
    .meta({ description: what });
}

function count(max: number, what: string): z.ZodType<number | undefined> {
  return z
    .string()
    .regex(/^\d{1,9}$/, "expected a number")
    .transform(Number)
    .refine((value) => value >= 1 && value <= max, `expected 1 to ${max}`)
    .optional()
    .meta({ description: what });
}

const delay = seconds(0, MAX_DELAY, `Seconds until the message can be taken, at most ${MAX_DELAY}; absent: at once.`);
const timeout = seconds(0, MAX_TIMEOUT, `Seconds to wait when nothing is there, at most ${MAX_TIMEOUT}; absent: 30.`);
const visibility = seconds(
  0.1,
  MAX_VISIBILITY,
  `Seconds until it can be taken again unless it is acknowledged; absent: 30.`,
);
const max_messages = count(MAX_MESSAGES, `At most so many, up to ${MAX_MESSAGES}; absent: 10.`);
const group = z
  .string()
  .refine((name) => nameFault(name) === undefined, { error: ({ input }) => nameFault(String(input)) ?? "not a name" })
  .optional();
const groupOf = group.meta({ description: "The name is that of a topic, and this the group; absent: it is a queue." });

export const pushQuery = z.object({ delay });
export const popQuery = z.object({
  timeout,
  ack: z.enum(["auto", "manual"]).optional().meta({ description: "manual: leased until acknowledged; absent: final." }),
  visibility,
});
export const subscribeQuery = z.object({
  timeout,
  max_messages,
  visibility,
  group: group.meta({ description: "Each group gets every message, its consumers share them; absent: default." }),
});
export const ackQuery = z.object({
  group: group.meta({ description: "Of the topic; absent: a queue's message, or one of the topic's group default." }),
});
export const nackQuery = ackQuery.extend({
  delay,
  reason: z
    .string()
    .max(MAX_REASON)
    .optional()
    .meta({ description: `Kept with the message should it be dead now; at most ${MAX_REASON} characters.` }),
});
export const sourceQuery = z.object({ group: groupOf });
export const listQuery = sourceQuery.extend({ max_messages });
export const redriveQuery = sourceQuery.extend({
  max_messages: count(1_000_000_000, "At most so many, the oldest first; absent: all."),
});

export const batchBody = z.object({ messages: z.array(z.unknown()).min(1).max(MAX_BATCH) });

const payload = z.unknown().meta({ description: "JSON as it was pushed." });
export const message = z.object({ id: z.string(), payload, received_at: z.iso.datetime() });
const deliveries = z.int().meta({ description: "How often it was handed out, this time included." });
export const leased = message.extend({ deliveries });
const found = z.object({ id: z.string(), payload, deliveries: z.int() });
export const pushed = z.object({ status: z.literal("pushed"), queue: z.string(), message_id: z.string() });
export const batchPushed = pushed.omit({ message_id: true }).extend({ message_ids: z.array(z.string()) });
export const popped = z.object({ message: z.union([leased, message]).nullable(), queue: z.string() });
export const published = z.object({ status: z.literal("published"), topic: z.string(), message_id: z.string() });
export const subscribed = z.object({ messages: z.array(leased), topic: z.string(), count: z.int() });
export const acknowledged = z.object({ status: z.literal("acknowledged"), topic: z.string(), message_id: z.string() });
export const rejected = acknowledged.extend({ status: z.literal("rejected") });
const unknowable = z.int().nullable().meta({ description: "null where the backend cannot know." });
export const length = z.object({
  queue: z.string(),
  length: z.int().meta({ description: "Messages that could be taken now." }),
  leased: unknowable,
  delayed: unknowable,
  dead: z.int(),
});
export const peeked = z.object({ messages: z.array(found), queue: z.string(), count: z.int() });
export const purged = z.object({ status: z.literal("purged"), queue: z.string(), count: z.int() });
export const dead = peeked.extend({
  messages: z.array(found.extend({ reason: z.string(), died_at: z.iso.datetime() })),
});
export const redriven = z.object({ status: z.literal("redriven"), queue: z.string(), count: z.int() });
