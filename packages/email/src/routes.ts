/** The email routes; see `docs/contract.md`, section 8. */

import {
  badRequest,
  type Call,
  checkBody,
  errorBody,
  isMikcarError,
  MikcarError,
  notFound,
  type Reply,
  type Routes,
} from "@mikcar/core";
import type { z } from "@mikcar/core/zod";
import type { Refusal, Rejected } from "./backend.ts";
import { readEmail } from "./letter.ts";
import type { Mailer, Receipt } from "./mailer.ts";
import { parse } from "./parse.ts";
import * as schemas from "./schemas.ts";
import { spec } from "./spec.ts";

// prettier-ignore
export const routes: Routes<Mailer> = [
  ["POST",   "/send",       send,        spec.send],
  ["POST",   "/send/batch", sendBatch,   spec.sendBatch],
  ["GET",    "/outbox",     listOutbox,  spec.listOutbox],
  ["GET",    "/outbox/:id", getOutbox,   spec.getOutbox],
  ["DELETE", "/outbox",     clearOutbox, spec.clearOutbox],
];

const PAGE = 50;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;

/** One email's part of an answer. */
type Outcome = z.infer<(typeof schemas.batchSent)["shape"]["results"]>[number];

async function send(mailer: Mailer, call: Call): Promise<Reply> {
  const key = idempotencyKey(call);
  const email = readEmail(await call.json(schemas.emailBody));
  try {
    return { body: sentJson(await mailer.send(email, key && `one ${key}`)) };
  } catch (thrown) {
    const error = known(thrown);
    logFailure(call, error);
    return { status: error.status, headers: error.headers ?? {}, body: failedJson(error) };
  }
}

async function sendBatch(mailer: Mailer, call: Call): Promise<Reply> {
  const key = idempotencyKey(call);
  const { emails } = await call.json(schemas.batchBody);
  const results = await Promise.all(
    emails.map(async (value, index) => {
      try {
        const email = readEmail(checkBody(schemas.emailBody, value));
        return sentJson(await mailer.send(email, key && `many ${index} ${key}`));
      } catch (thrown) {
        const error = known(thrown);
        logFailure(call, error, index);
        return failedJson(error);
      } finally {
        call.extend(0); // there is progress
      }
    }),
  );
  const sent = results.filter(({ success }) => success).length;
  return { body: { sent, failed: results.length - sent, results } };
}

async function listOutbox({ backend }: Mailer, call: Call): Promise<Reply> {
  const { limit = PAGE, cursor } = call.query(schemas.outboxQuery);
  const page = await backend.listCaught(limit, cursor);
  const emails: schemas.CaughtJson[] = [];
  for (const message of page.messages) emails.push(await parse(message, false));
  return { body: { emails, cursor: page.cursor ?? null } };
}

async function getOutbox({ backend }: Mailer, call: Call): Promise<Reply> {
  const id = call.param("id");
  const message = await backend.getCaught(id);
  if (message === undefined) throw notFound(id);
  return { body: await parse(message, true) };
}

async function clearOutbox({ backend }: Mailer): Promise<Reply> {
  return { body: { status: "ok", deleted: await backend.clearCaught() } };
}

/** Of one caller: a key that another one has used means nothing to him. */
function idempotencyKey({ headers }: Call): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && IDEMPOTENCY_KEY.test(key)) return `${headers.authorization ?? ""}\n${key}`;
  throw badRequest("Idempotency-Key: expected 1 to 255 printable ASCII characters");
}

function sentJson({ id, rejected }: Receipt): Outcome {
  return { id, success: true, ...rejectedJson(rejected) };
}

/** As every error, with `success`, and what the mail server has said in place of details. */
function failedJson(error: MikcarError): Outcome {
  const { details, ...body } = errorBody(error);
  if (!isRefusal(details)) return { success: false, ...body, ...(details === undefined ? {} : { details }) };
  const { sentence, smtpCode, rejected } = details;
  const code = smtpCode === undefined ? {} : { smtp_code: smtpCode };
  return { success: false, ...body, error: sentence, ...code, ...rejectedJson(rejected) };
}

function rejectedJson(rejected: readonly Rejected[]): Pick<Outcome, "rejected"> {
  if (rejected.length === 0) return {};
  return { rejected: rejected.map(({ address, smtpCode }) => ({ address, smtp_code: smtpCode })) };
}

function isRefusal(details: unknown): details is Refusal {
  return typeof details === "object" && details !== null && "sentence" in details;
}

function known(thrown: unknown): MikcarError {
  return isMikcarError(thrown) ? thrown : new MikcarError("INTERNAL_ERROR", String(thrown), { cause: thrown });
}

/** @param index In its batch. */
function logFailure({ log, traceId }: Call, error: MikcarError, index?: number): void {
  if (error.status < 500) return;
  log.error({ trace_id: traceId, code: error.code, err: error, ...(index === undefined ? {} : { index }) }, "not sent");
}
