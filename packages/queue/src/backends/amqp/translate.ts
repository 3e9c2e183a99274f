/** What `amqplib` throws, as an error of ours. Codes: https://www.rabbitmq.com/amqp-0-9-1-reference#constants */

import { conflict, isMikcarError, MikcarError, unavailable, unsupported } from "@mikcar/core";

/** The broker's reply code, of an error that it has sent. */
export function replyCode(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "number" ? code : undefined;
}

/** Of a queue or exchange that is not there. */
export function isAbsent(error: unknown): boolean {
  return replyCode(error) === 404;
}

/** The broker closed the connection, as it cannot do with some queue what it was asked for, perhaps by another call. */
export function isUnimplemented(error: unknown): boolean {
  const code = isMikcarError(error) ? replyCode(error.cause) : undefined;
  return code === 540 || code === 541; // the latter is what it says of a `get` from a stream
}

export function translate(error: unknown): MikcarError {
  if (isMikcarError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  switch (replyCode(error)) {
    case 403:
      if (message.includes("exclusive use"))
        return conflict("another consumer has the queue to itself", { cause: error });
      return refused(message, error);
    case 405:
      if (message.includes("single active consumer"))
        return unsupported("RabbitMQ gives messages of a quorum queue with a single active consumer to that one alone");
      return conflict("the queue belongs to another connection alone", { cause: error });
    case 404:
    case 406:
      return refused(message, error);
    case 540:
      return unsupported("RabbitMQ cannot do this with a queue of this type");
    default:
      return away(message, error);
  }
}

function refused(message: string, cause: unknown): MikcarError {
  return new MikcarError("BAD_GATEWAY", `RabbitMQ says: ${message}`, { cause });
}

/** UNAVAILABLE. The reason is for the log. */
export function away(reason: string, cause?: unknown): MikcarError {
  return unavailable(`RabbitMQ: ${reason}`, { cause, headers: { "Retry-After": "1" } });
}
