/** What Google complains of, as an error of ours: https://cloud.google.com/storage/docs/json_api/v1/status-codes */

import { badRequest, MikcarError, unavailable } from "@mikcar/core";
import { LOOK } from "./login.ts";

export interface Complaint {
  /** Undefined: there was no answer. */
  readonly status: number | undefined;
  /** Of an answer `HTTP 403`, else of the system. */
  readonly code: string;
  readonly message: string;
}

const BUSY = new Set([408, 410, 429]);
const CALLERS_FAULT = /object name|metadata/i;
const NO_BUCKET = /bucket does not exist/i;

/** Whether a 404 is about the bucket rather than the object. */
export function isBucketGone({ status, message }: Complaint): boolean {
  return status === 404 && NO_BUCKET.test(message);
}

/** The sentence of an answer that is JSON, as most are, or text. */
export function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: string } };
    return error?.message ?? "";
  } catch {
    return text.slice(0, 200).trim(); // a proxy on the way, or an answer to a read
  }
}

/** UNAVAILABLE without an answer or when Google cannot now, else BAD_GATEWAY; what lies with the caller says so. */
export function failure(complaint: Complaint, place: string): MikcarError {
  const { status, code, message } = complaint;
  if (status === 400 && CALLERS_FAULT.test(message))
    return badRequest(`Google Cloud Storage does not take it: ${message}`);
  const sentence = `${place}: ${code}: ${message}`;
  if (status === 401 || status === 403) {
    return new MikcarError("BAD_GATEWAY", `${sentence}; ${LOOK}, and at what it may do`);
  }
  if (status === 404) return new MikcarError("BAD_GATEWAY", `${sentence}; create the bucket, or look at its name`);
  if (status === undefined || status >= 500 || BUSY.has(status)) return unavailable(sentence);
  return new MikcarError("BAD_GATEWAY", sentence);
}
