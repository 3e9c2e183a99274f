/** What the Redis client throws, as an error of ours. */

import { conflict, isMikcarError, MikcarError, unavailable } from "@mikcar/core";
import { ErrorReply } from "@redis/client";

/** What a server, or a script of ours (LATE), says that cannot serve now, and may again. https://redis.io/docs/latest/develop/reference/protocol-spec/ */
const BUSY =
  /^(?:LATE|LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|OOM|NOREPLICAS|MISCONF|UNKILLABLE|ERR max)/;
const LOGIN = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password|ERR Client sent AUTH)/i;

/** @param key Whose value has another type, for the message. */
export function translate(error: unknown, key?: string): MikcarError {
  if (isMikcarError(error)) return error;
  if (!(error instanceof ErrorReply)) return away(undefined, "the connection was lost", error);
  const { message } = error;
  if (message.startsWith("WRONGTYPE")) return foreignType(key, error);
  if (BUSY.test(message)) return away(undefined, `Redis says: ${message}`, error);
  if (LOGIN.test(message)) return away(undefined, `Redis refuses this user: ${message}`, error);
  return new MikcarError("BAD_GATEWAY", `Redis says: ${message}`, { cause: error });
}

/** A list or a hash, say, that another program has made. */
export function foreignType(key: string | undefined, cause?: unknown): MikcarError {
  const what = key === undefined ? "one of the keys" : `"${key}"`;
  return conflict(`${what} is of another Redis type: another program has put it there`, { cause });
}

/** UNAVAILABLE. The reason is for the log. */
export function away(address: string | undefined, reason: string, cause?: unknown): MikcarError {
  const where = address === undefined ? "" : ` ${address}`;
  return unavailable(`Redis${where}: ${reason}${detail(cause)}`, { cause, headers: { "Retry-After": "1" } });
}

function detail(cause: unknown): string {
  if (typeof cause !== "object" || cause === null || !("message" in cause)) return "";
  const text = "errors" in cause && Array.isArray(cause.errors) ? cause.errors.map(String).join("; ") : cause.message;
  if (LOGIN.test(String(text))) return `: it refuses the user or the password of the URL (${String(text)})`;
  return `: ${String(text)}`;
}
