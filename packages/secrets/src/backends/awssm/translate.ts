/** Errors of the AWS SDK to ours. Nothing of the request travels on, and no message that might repeat a part of it. */

import { MikcarError, unavailable } from "@mikcar/core";

/** The parts of an SDK error that are used: its name is AWS's code. */
interface AwsError {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** These quote what was wrong. */
const QUOTES_INPUT = new Set(["ValidationException", "InvalidParameterException"]);
const OVERLOADED = new Set(["ThrottlingException", "TooManyRequestsException"]);

/** What AWS says of a secret that is not there, or waits for its deletion. */
export const ABSENT: readonly string[] = ["ResourceNotFoundException", "InvalidRequestException"];
/** What AWS says of a version id that it cannot have. */
export const NO_VERSION: readonly string[] = ["InvalidParameterException", "ValidationException"];

/** @throws UNAVAILABLE without an answer or when AWS is overloaded, else BAD_GATEWAY. */
export async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(error as AwsError);
  }
}

/** As `attempt`; undefined when AWS answers with one of these codes. */
export async function unless<T>(codes: readonly string[], work: () => Promise<T>): Promise<T | undefined> {
  return attempt(async () => {
    try {
      return await work();
    } catch (error) {
      if (codes.includes((error as AwsError).name ?? "")) return undefined;
      throw error;
    }
  });
}

function translate({ name = "Error", message = "", code, $metadata = {} }: AwsError): MikcarError {
  const { httpStatusCode: status, requestId = "none" } = $metadata;
  const reason = QUOTES_INPUT.has(name) ? "a part of the request is not allowed" : message;
  const sentence = `AWS Secrets Manager: ${name}${code === undefined ? "" : ` (${code})`}: ${reason} (request ${requestId})`;
  if (name === "CredentialsProviderError") {
    return new MikcarError(
      "BAD_GATEWAY",
      `${sentence}; set AWS_ACCESS_KEY_ID, AWS_PROFILE, or give this machine a role`,
    );
  }
  if (status === undefined || status >= 500 || OVERLOADED.has(name)) return unavailable(sentence);
  return new MikcarError("BAD_GATEWAY", sentence);
}
