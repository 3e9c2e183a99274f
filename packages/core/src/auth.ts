/** Who may pass: by token or signed URL, and the checks that stand in for them on loopback. */

import type { IncomingMessage } from "node:http";
import type { Caller, Callers } from "./callers.ts";
import { forbidden, unauthorized } from "./errors.ts";

export interface GateOptions {
  readonly callers: Callers;
  /** Without a token: answer only a `Host` that is loopback, so that a rebound DNS name cannot reach the sidecar. */
  readonly loopbackHostOnly: boolean;
  /** Without a token: refuse a request that a page of another origin sent. */
  readonly sameOriginOnly: boolean;
  readonly corsOrigins: readonly string[];
}

const BEARER = /^bearer +(.+)$/i;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

export class Gate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Who sends this request. @throws UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS. */
  admit(request: IncomingMessage): Caller {
    const { anybody } = this.#options.callers;
    if (anybody !== undefined) return this.#admitNeighbour(request, anybody);
    const caller = this.#known(request);
    if (!caller.isUnlimited) caller.admit();
    return caller;
  }

  /** The origin to allow in a CORS answer, or undefined when this origin is not listed. */
  corsOrigin(origin: string | undefined): string | undefined {
    const { corsOrigins } = this.#options;
    if (origin === undefined || corsOrigins.length === 0) return undefined;
    return corsOrigins.includes("*") || corsOrigins.includes(origin) ? origin : undefined;
  }

  #known(request: IncomingMessage): Caller {
    const { callers } = this.#options;
    const { authorization } = request.headers;
    if (authorization === undefined) {
      const signer = callers.signerOf(request.method ?? "", askedUrl(request));
      if (signer !== undefined) return signer;
      throw unauthorized("a token is needed; send Authorization: Bearer TOKEN");
    }
    const given = BEARER.exec(authorization)?.[1];
    const caller = given === undefined ? undefined : callers.find(given);
    if (caller !== undefined) return caller;
    throw unauthorized("the token is not valid; send Authorization: Bearer TOKEN with a token this sidecar runs with");
  }

  #admitNeighbour(request: IncomingMessage, anybody: Caller): Caller {
    const { host, origin } = request.headers;
    if (this.#options.loopbackHostOnly && !LOOPBACK_HOST.test(host ?? "")) {
      throw forbidden(
        "without a token this sidecar answers only to localhost; call it by that name, or start it with --auth-token",
      );
    }
    if (this.#options.sameOriginOnly && origin !== undefined && !this.#isOwn(origin, host)) {
      throw forbidden(
        "requests from web pages of another origin are refused; list the origin in CORS_ORIGINS to allow it",
      );
    }
    return this.#options.callers.signerOf(request.method ?? "", askedUrl(request)) ?? anybody;
  }

  #isOwn(origin: string, host: string | undefined): boolean {
    return origin === `http://${host}` || origin === `https://${host}` || this.corsOrigin(origin) !== undefined;
  }
}

/** As the client wrote it: Express takes an application's mount path off `url`. */
function askedUrl(request: IncomingMessage & { readonly originalUrl?: string }): string {
  return request.originalUrl ?? request.url ?? "";
}
