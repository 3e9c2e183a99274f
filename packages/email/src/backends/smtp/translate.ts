/** What nodemailer throws, as an error of ours. Reply codes: RFC 5321, 4.2. */

import { isMikcarError, MikcarError, unavailable } from "@mikcar/core";
import type { Refusal, Rejected } from "../../backend.ts";

/** Of what nodemailer adds to its errors, that which is read here. */
export interface SmtpError extends Error {
  readonly code?: string;
  /** Of the system's, beneath the code of nodemailer's own. */
  readonly originalCode?: string;
  readonly syscall?: string;
  readonly timeoutType?: string;
  /** Absent when what went wrong was no answer to a command. */
  readonly command?: string;
  /** The server's words, from the reply code on. */
  readonly response?: string;
  readonly responseCode?: number;
  readonly recipient?: string;
  readonly rejectedErrors?: readonly SmtpError[];
}

/** Greylisting lets a message in after a minute or more: RFC 6647. */
const LATER = { "Retry-After": "60" };
const SOON = { "Retry-After": "1" };
const MAX_REASON = 300;
/** OpenSSL's reasons not to trust a certificate, and Node's for one of another name. */
const UNTRUSTED = /CERT|SIGNATURE|ISSUER|ALTNAME/;

export function translate(thrown: unknown): MikcarError {
  if (isMikcarError(thrown)) return thrown;
  const error = thrown as SmtpError; // nodemailer throws nothing else
  const { code = "", originalCode = "", responseCode } = error;
  if (code === "EAUTH") return refusal(error, "the mail server refuses the login of this sidecar");
  if (UNTRUSTED.test(originalCode)) return refusal(error, "the certificate of the mail server is not to be trusted");
  if (code === "ETLS" && responseCode !== undefined) return refusal(error, "the mail server has no STARTTLS");
  if (error.rejectedErrors !== undefined) return refusal(error, "the mail server refuses every recipient");
  if (responseCode !== undefined)
    return refusal(error, `the mail server refuses the message with code ${responseCode}`);
  if (code === "EMESSAGE") return refusal(error, "the message is larger than the mail server takes");
  return unavailable(`the mail server does not answer: ${reason(error)}`, { cause: error, headers: SOON });
}

/** Recipients who were refused. */
export function rejections(errors: readonly SmtpError[] | undefined): readonly Rejected[] {
  return (errors ?? []).map(({ recipient = "", responseCode = 0 }) => ({ address: recipient, smtpCode: responseCode }));
}

/** Whether no session came to be, so that it would not for other messages either. */
export function hasNoSession(thrown: unknown): boolean {
  const { code, syscall, timeoutType, command, originalCode = "" } = thrown as SmtpError;
  if (code === "EAUTH" || code === "ETLS" || code === "EDNS" || UNTRUSTED.test(originalCode)) return true;
  if (syscall === "connect" || syscall === "getaddrinfo" || timeoutType === "GREETING_TIMEOUT") return true;
  return command === undefined || command === "EHLO" || (code === "EPROTOCOL" && command === "CONN");
}

/**
 * For good, or (when the code begins with 4, of one recipient at least) for now. The cause is left out, as a server may
 * repeat in its words what it was told, the login among it.
 */
function refusal(error: SmtpError, sentence: string): MikcarError {
  const rejected = rejections(error.rejectedErrors);
  const smtpCode = error.responseCode;
  const isTemporary = [smtpCode, ...rejected.map((one) => one.smtpCode)].some(
    (code) => code !== undefined && code < 500,
  );
  const details: Refusal = {
    sentence: isTemporary ? `${sentence} for now; try again later` : sentence,
    smtpCode,
    rejected,
  };
  const message = `${sentence}: ${error.code === "EAUTH" ? `code ${smtpCode ?? "unknown"}` : reason(error)}`;
  return isTemporary
    ? unavailable(message, { details, headers: LATER })
    : new MikcarError("BAD_GATEWAY", message, { details });
}

function reason({ response, code, originalCode, message }: SmtpError): string {
  const text = response ?? (message || (originalCode ?? code) || "unknown");
  return text.slice(0, MAX_REASON);
}
