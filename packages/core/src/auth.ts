/** Who may pass: the bearer token, compared in constant time, and the checks that stand in for it on loopback. */

import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { forbidden, type MikcarError, unauthorized } from "./errors.ts";
import type { UrlSigner } from "./signing.ts";

export interface GateOptions {
  readonly authToken: string | undefined;
  /** Without a token: answer only a `Host` that is loopback, so that a rebound DNS name cannot reach the sidecar. */
  readonly loopbackHostOnly: boolean;
  /** Without a token: refuse a request that a page of another origin sent. */
  readonly sameOriginOnly: boolean;
  readonly corsOrigins: readonly string[];
  readonly signer: UrlSigner;
}

const BEARER = /^bearer +(.+)$/i;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

export class Gate {
  readonly #options: GateOptions;
  readonly #token: Buffer | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#token = options.authToken === undefined ? undefined : Buffer.from(options.authToken);
  }

  /** Why this request may not pass, or undefined when it may. */
  refuse(request: IncomingMessage): MikcarError | undefined {
    return this.#token === undefined ? this.#refuseForeign(request) : this.#refuseStranger(request, this.#token);
  }

  /** The origin to allow in a CORS answer, or undefined when this origin is not listed. */
  corsOrigin(origin: string | undefined): string | undefined {
    const { corsOrigins } = this.#options;
    if (origin === undefined || corsOrigins.length === 0) return undefined;
    return corsOrigins.includes("*") || corsOrigins.includes(origin) ? origin : undefined;
  }

  #refuseStranger(request: IncomingMessage, token: Buffer): MikcarError | undefined {
    const header = request.headers.authorization;
    if (header === undefined) return this.#refuseUnsigned(request);
    const given = BEARER.exec(header)?.[1];
    if (given !== undefined && isSame(Buffer.from(given, "latin1"), token)) return undefined;
    return unauthorized(
      "the token is not valid; send Authorization: Bearer TOKEN with the token this sidecar runs with",
    );
  }

  #refuseUnsigned(request: IncomingMessage): MikcarError | undefined {
    const verdict = this.#options.signer.verify(request.method ?? "", request.url ?? "");
    if (verdict === "valid") return undefined;
    return verdict ?? unauthorized("a token is needed; send Authorization: Bearer TOKEN");
  }

  #refuseForeign(request: IncomingMessage): MikcarError | undefined {
    const { host, origin } = request.headers;
    if (this.#options.loopbackHostOnly && !LOOPBACK_HOST.test(host ?? "")) {
      return forbidden(
        "without a token this sidecar answers only to localhost; call it by that name, or start it with --auth-token",
      );
    }
    if (this.#options.sameOriginOnly && origin !== undefined && !this.#isOwn(origin, host)) {
      return forbidden(
        "requests from web pages of another origin are refused; list the origin in CORS_ORIGINS to allow it",
      );
    }
    const verdict = this.#options.signer.verify(request.method ?? "", request.url ?? "");
    return verdict === "valid" ? undefined : verdict;
  }

  #isOwn(origin: string, host: string | undefined): boolean {
    return origin === `http://${host}` || origin === `https://${host}` || this.corsOrigin(origin) !== undefined;
  }
}

/** Header bytes arrive as latin1, one character each. The length shows in the time this takes; the content does not. */
function isSame(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}
