/** The one error type of every service, and the only place where a code meets its HTTP status. */

export const STATUS = {
  BAD_REQUEST: 400,
  SQL_ERROR: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  TIMEOUT: 408,
  CONFLICT: 409,
  PRECONDITION_FAILED: 412,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RANGE_NOT_SATISFIABLE: 416,
  UNPROCESSABLE: 422,
  SCRIPT_ERROR: 422,
  SCRIPT_TIMEOUT: 422,
  SCRIPT_MEMORY: 422,
  TOO_MANY_REQUESTS: 429,
  CONFIG_ERROR: 500,
  INTERNAL_ERROR: 500,
  UNSUPPORTED: 501,
  BAD_GATEWAY: 502,
  UNAVAILABLE: 503,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** What a caller may learn beyond the sentence: JSON in `details`, and headers such as `Allow` or `Retry-After`. */
export interface ErrorExtras extends ErrorOptions {
  readonly details?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const BRAND: unique symbol = Symbol.for("mikcar.error");

/** Every failure that has a meaning on the wire. Anything else that is thrown becomes INTERNAL_ERROR. */
export class MikcarError extends Error {
  readonly [BRAND]: true = true;
  readonly code: ErrorCode;
  readonly details: unknown;
  readonly headers: Readonly<Record<string, string>> | undefined;

  /** @param message Sent to the client when the status is below 500 or the code is UNSUPPORTED; only logged otherwise. */
  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras);
    this.name = "MikcarError";
    this.code = code;
    this.details = extras.details;
    this.headers = extras.headers;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** True for an error of ours, also when it comes from a second copy of this package: it looks at a brand, not a class. */
export function isMikcarError(error: unknown): error is MikcarError {
  return typeof error === "object" && error !== null && BRAND in error;
}

/** The JSON body of an error answer. A 5xx carries a fixed sentence: what really happened is in the log. */
export interface ErrorBody {
  readonly error: string;
  readonly code: ErrorCode;
  readonly status: number;
  readonly details?: unknown;
}

const OPAQUE: Partial<Record<ErrorCode, string>> = {
  BAD_GATEWAY: "the service behind this sidecar refused the call; the log has the reason under this trace id",
  UNAVAILABLE: "the service behind this sidecar does not answer; try again in a moment",
};

/** What the caller is told about `error`. */
export function errorBody(error: MikcarError): ErrorBody {
  const { code, status, details } = error;
  const isOpen = status < 500 || code === "UNSUPPORTED";
  const message = isOpen
    ? error.message
    : (OPAQUE[code] ?? "something went wrong inside the sidecar; the log has it under this trace id");
  return { error: message, code, status, ...(details === undefined ? {} : { details }) };
}

export function badRequest(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("BAD_REQUEST", message, extras);
}

export function unauthorized(message: string): MikcarError {
  return new MikcarError("UNAUTHORIZED", message, { headers: { "WWW-Authenticate": "Bearer" } });
}

export function forbidden(message: string): MikcarError {
  return new MikcarError("FORBIDDEN", message);
}

/** @param what The thing that is absent, as the caller named it. */
export function notFound(what: string): MikcarError {
  return new MikcarError("NOT_FOUND", `not found: ${what}`);
}

export function timeout(message: string): MikcarError {
  return new MikcarError("TIMEOUT", message);
}

export function conflict(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("CONFLICT", message, extras);
}

export function preconditionFailed(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("PRECONDITION_FAILED", message, extras);
}

export function payloadTooLarge(limitBytes: number): MikcarError {
  return new MikcarError("PAYLOAD_TOO_LARGE", `the body is larger than the ${limitBytes} bytes allowed here`, {
    details: { limit_bytes: limitBytes },
  });
}

export function unprocessable(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("UNPROCESSABLE", message, extras);
}

export function unsupported(message: string): MikcarError {
  return new MikcarError("UNSUPPORTED", message);
}

export function unavailable(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("UNAVAILABLE", message, extras);
}

/** A setting that cannot work. It stops a program before it listens, so its message names the setting and the way out. */
export function configError(message: string, extras?: ErrorExtras): MikcarError {
  return new MikcarError("CONFIG_ERROR", message, extras);
}
