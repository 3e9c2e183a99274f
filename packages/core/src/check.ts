/** zod schemas to answers that name the field. */

import type { ZodError, ZodType } from "zod";
import { badRequest, type MikcarError, unprocessable } from "./errors.ts";

interface Issue {
  readonly field: string;
  readonly message: string;
}

/** @throws UNPROCESSABLE with `details: [{field, message}]`. */
export function checkBody<T>(schema: ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refusal(result.error, "body", unprocessable);
}

/** The last value wins where a parameter comes twice. @throws BAD_REQUEST with `details: [{field, message}]`. */
export function checkQuery<T>(schema: ZodType<T>, queryString: string): T {
  const result = schema.safeParse(queryString === "" ? {} : Object.fromEntries(new URLSearchParams(queryString)));
  if (result.success) return result.data;
  throw refusal(result.error, "query", badRequest);
}

function refusal(error: ZodError, place: string, as: typeof badRequest): MikcarError {
  const details: Issue[] = error.issues.map(({ path, message }) => ({
    field: path.length === 0 ? place : path.join("."),
    message,
  }));
  return as(
    details
      .map(({ field, message }) => `${field}: ${message}`)
      .slice(0, 3)
      .join("; "),
    { details },
  );
}
