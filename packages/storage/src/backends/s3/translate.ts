/** What a server of the S3 protocol complains of, as an error of ours. Only its code and sentence travel on. */

import { badRequest, conflict, MikcarError, unavailable } from "@mikcar/core";

export interface Complaint {
  /** As S3 names it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; else of the system. */
  readonly code: string;
  readonly message: string;
  /** Undefined: there was no answer. */
  readonly status: number | undefined;
  readonly request?: string | undefined;
}

/** @param bucket As in the URL: `s3://photos`. @param login Where its credentials come from, for the sentence. */
export interface Place {
  readonly bucket: string;
  readonly login: string;
}

const BUSY = new Set(["SlowDown", "Throttling", "RequestTimeout", "TooManyRequests", "OperationAborted"]);
const NOT_TAKEN = new Set([
  "KeyTooLongError",
  "MetadataTooLarge",
  "XMinioInvalidObjectName",
  "XMinioInvalidResourceName",
]);
const IN_THE_WAY = new Set([
  "XMinioParentIsObject",
  "XMinioObjectExistsAsDirectory",
  "ObjectParentIsFile",
  "ExistingObjectIsDirectory",
]);
const WHO = new Set([
  "AccessDenied",
  "CredentialsProviderError",
  "ExpiredToken",
  "ForbiddenException",
  "InvalidAccessKeyId",
  "InvalidToken",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
]);
const WHERE = new Set([
  "AuthorizationHeaderMalformed",
  "PermanentRedirect",
  "MovedPermanently",
  "NoRegion", // of ours
  "IllegalLocationConstraintException",
]);

/** What to answer to a complaint instead of failing, by its code or status; never when the bucket or the upload is not there. */
export function answerTo<A>(
  answers: Readonly<Record<string, A>>,
  code: string,
  status = 0,
): { readonly instead: A } | undefined {
  if (code === "NoSuchBucket" || code === "NoSuchUpload") return undefined;
  const key = [code, String(status)].find((each) => Object.hasOwn(answers, each));
  return key === undefined ? undefined : { instead: answers[key] as A }; // it is in there
}

/** UNAVAILABLE without an answer or when the server cannot now, else BAD_GATEWAY; what lies with the caller says so. */
export function failure({ code, message, status, request }: Complaint, { bucket, login }: Place): MikcarError {
  if (NOT_TAKEN.has(code)) return badRequest(`the server behind this storage does not take it: ${message}`);
  if (IN_THE_WAY.has(code))
    return conflict("the server behind this storage holds no object above or below another one");
  const sentence = `${bucket}: ${code}: ${message}${request === undefined ? "" : ` (request ${request})`}`;
  if (WHO.has(code) || status === 403)
    return new MikcarError("BAD_GATEWAY", `${sentence}; look at ${login}, and at what it may do`);
  if (code === "NoSuchBucket")
    return new MikcarError("BAD_GATEWAY", `${sentence}; create the bucket, or look at its name`);
  if (WHERE.has(code) || status === 301)
    return new MikcarError("BAD_GATEWAY", `${sentence}; set region= to that of the bucket`);
  if (status === undefined || status >= 500 || status === 429 || BUSY.has(code)) return unavailable(sentence);
  return new MikcarError("BAD_GATEWAY", sentence);
}
