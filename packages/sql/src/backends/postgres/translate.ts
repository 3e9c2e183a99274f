/** What `pg` throws, as an error of ours. */

import { isMikcarError, MikcarError, unavailable } from "@mikcar/core";
import { DatabaseError } from "pg";
import { sqlError } from "../../errors.ts";
import { RunError, StepError } from "./exchange.ts";

/** Errors of the server carry its SQLSTATE; all else is a connection that broke or never came to be. */
export function translate(error: unknown): MikcarError {
  if (isMikcarError(error)) return error;
  if (error instanceof StepError || error instanceof RunError) return translate(error.cause);
  if (error instanceof DatabaseError && error.code !== undefined) {
    const { position, hint, constraint, table, column } = error;
    const details = { sqlstate: error.code, position: position === undefined ? undefined : Number(position) };
    const message = error.message.replace(/prepared statement "m\d+"/, "the statement"); // a name that only we know
    const known = sqlError(message, { ...details, hint, constraint, table, column }, error);
    // Whoever raises such a code, or asks for a file of the server, has a connection that is well.
    const isRaised = error.severity === "ERROR" && /^(?:08|57|58)/.test(error.code) && known.code !== "TIMEOUT";
    return isRaised ? new MikcarError("SQL_ERROR", message, { details: known.details, cause: error }) : known;
  }
  return unavailable("Postgres does not answer", { cause: error, headers: { "Retry-After": "1" } });
}
