/**
 * Errors of the Azure SDK to ours. Nothing of the request travels on, as it holds signatures and tokens.
 * Codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
 */

import { badRequest, conflict, isMikcarError, MikcarError, unavailable } from "@mikcar/core";
import { foreign } from "../cloud/foreign.ts";

/** The parts of an SDK error that are used. */
interface AzureError {
  readonly name?: string;
  readonly message?: string;
  readonly statusCode?: number;
  /** Azure's, of the system's, or of the client's own. */
  readonly code?: string;
  readonly details?: { readonly errorCode?: string };
}

const ABSENT = new Set(["BlobNotFound", "ResourceNotFound"]);
const BAD_NAME = new Set([
  "InvalidUri",
  "InvalidResourceName",
  "OutOfRangeInput",
  "InvalidMetadata",
  "MetadataTooLarge",
]);
/** What others made of the object, or are about to. */
const STATES: Readonly<Record<string, string>> = {
  BlobArchived: "the object is in Azure's archive, and must be brought back from there first",
  BlobBeingRehydrated: "the object is being brought back from Azure's archive",
  BlobImmutableDueToPolicy: "a policy of the container keeps the object from being changed",
  InvalidBlockList: "another writer stored this object at the same moment; send the call again",
  LeaseIdMissing: "somebody holds a lease on the object",
  LeaseAlreadyPresent: "somebody holds a lease on the object",
  PathConflict: "in this account an object and a folder cannot have one name",
  PendingCopyOperation: "a copy to this object is under way",
  ResourceTypeMismatch: "in this account an object and a folder cannot have one name",
  SnapshotsPresent: "the object has snapshots, which would be deleted with it",
};

/** How the client stumbles over an answer that is not Azure's. */
const UNREADABLE = new Set(["RangeError", "SyntaxError", "TypeError"]);

/** @throws as `translate` makes it. */
export async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(error);
  }
}

export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && ABSENT.has(codeOf(error));
}

/** Whether Azure refused a condition of the request, or has no such range. */
export function isOther(error: unknown): boolean {
  return statusOf(error) === 304 || statusOf(error) === 416 || isRefused(error);
}

/** Whether Azure refused a condition of a write. */
export function isRefused(error: unknown): boolean {
  const code = codeOf(error);
  return code === "BlobAlreadyExists" || (statusOf(error) === 412 && code.endsWith("ConditionNotMet"));
}

/** UNAVAILABLE without an answer or when Azure is overloaded, CONFLICT for what others did, else BAD_GATEWAY. */
export function translate(error: unknown): MikcarError {
  if (isMikcarError(error)) return error;
  const status = statusOf(error);
  const code = codeOf(error);
  const { name = "Error", message = "" } = error as AzureError;
  const state = STATES[code];
  if (state !== undefined) return conflict(state);
  if (BAD_NAME.has(code)) return badRequest(`Azure takes no such name: ${code}`);
  const sentence = `Azure Blob Storage: ${code || name}: ${message.split("\n")[0]}`;
  if (/Credential|Authentication/.test(name)) {
    return new MikcarError(
      "BAD_GATEWAY",
      `${sentence}; set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_KEY, or give this machine an identity`,
    );
  }
  if (UNREADABLE.has(name)) return foreign(sentence);
  if (status === undefined || status >= 500 || status === 429) return unavailable(sentence);
  const hint = status === 401 || status === 403 ? "; see the key, token or role that the sidecar has" : "";
  return new MikcarError("BAD_GATEWAY", sentence + hint);
}

function statusOf(error: unknown): number | undefined {
  return (error as AzureError).statusCode;
}

function codeOf(error: unknown): string {
  const { details, code } = error as AzureError;
  return details?.errorCode ?? code ?? "";
}
