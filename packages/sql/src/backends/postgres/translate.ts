/** What `pg` throws, as an error of ours. */

import { isMikcarError, type MikcarError, unavailable } from "@mikcar/core";
import { DatabaseError } from "pg";
import { sqlError } from "../../errors.ts";
import { RunError, StepError } from "./exchange.ts";

/** Errors of the server carry its SQLSTATE; all else is a connection that broke or never came to be. */
export function translate(error: unknown): MikcarError {
  if (isMikcarError(error)) return error;
  if (error instanceof StepError || error instanceof RunError) return translate(error.cause);
  if (error instanceof DatabaseError && error.code !== undefined) {
    const { code, position, hint, constraint, table, column } = error;
    const details = { sqlstate: code, position: position === undefined ? undefined : Number(position) };
    return sqlError(error.message, { ...details, hint, constraint, table, column }, error);
  }
  return unavailable("Postgres does not answer", { cause: error, headers: { "Retry-After": "1" } });
}
