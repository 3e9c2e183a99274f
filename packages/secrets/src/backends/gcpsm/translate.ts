/** Errors of Google's client to ours: https://cloud.google.com/apis/design/errors#handling_errors */

import { isMikcarError, MikcarError, unavailable } from "@mikcar/core";

/** Codes of gRPC, which the client gives for REST too: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const NOT_FOUND = 5;
export const ALREADY_EXISTS = 6;
export const PERMISSION_DENIED = 7;
export const FAILED_PRECONDITION = 9;
const RESOURCE_EXHAUSTED = 8;
const UNAUTHENTICATED = 16;
const REFUSED = new Set([3, PERMISSION_DENIED, FAILED_PRECONDITION, UNAUTHENTICATED]);

/** @throws BAD_GATEWAY when Google has refused the call, else UNAVAILABLE. */
export async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isMikcarError(error) ? error : translate(error as { code?: number; message?: string });
  }
}

/** As `attempt`; undefined when Google answers with one of these codes. */
export async function unless<T>(codes: readonly number[], work: () => Promise<T>): Promise<T | undefined> {
  return attempt(async () => {
    try {
      return await work();
    } catch (error) {
      if (codes.includes((error as { code: number }).code)) return undefined;
      throw error;
    }
  });
}

function translate({ code, message = "" }: { code?: number; message?: string }): MikcarError {
  const isInputQuoted = code === 3;
  const sentence = `GCP Secret Manager: code ${code ?? "none"}: ${isInputQuoted ? "a part of the request is not allowed" : message}`;
  if (code !== undefined && REFUSED.has(code)) return new MikcarError("BAD_GATEWAY", sentence);
  const hint = code === RESOURCE_EXHAUSTED ? "; a quota is used up" : "";
  return unavailable(sentence + hint);
}
