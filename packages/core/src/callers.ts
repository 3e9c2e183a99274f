/** Who calls, by token: what each may reach, how much, and the URLs it signs. */

import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { forbidden, MikcarError } from "./errors.ts";
import { Rate } from "./rate.ts";
import type { Access, Need } from "./routes.ts";
import { UrlSigner } from "./signing.ts";
import { type TokenGrant, readTokens } from "./tokens.ts";

/** One who may pass. */
export class Caller {
  /** Begins every name it may use; empty: any. */
  readonly prefix: string;
  readonly signer: UrlSigner;
  /** Its token is not valid any more, or opens something else: what it still has open ends. */
  isRevoked = false;
  /** By service, `*` for all; undefined: everything. */
  readonly #scopes: ReadonlyMap<string, Need> | undefined;
  readonly #grant: TokenGrant | undefined;
  readonly #requests: Rate | undefined;
  readonly #bytes: Rate | undefined;

  /** @param share Of the grant's limits that this process watches over: above 0, or 0 when another one does. */
  constructor(signer: UrlSigner, grant?: TokenGrant, share = 1) {
    this.signer = signer;
    this.prefix = grant?.prefix ?? "";
    this.#scopes = grant?.scopes;
    this.#grant = grant;
    this.#requests = rate(grant?.requestsPerSecond, share);
    this.#bytes = rate(grant?.bodyBytesPerSecond, share);
  }

  /** With nothing to check: the one token, or none at all. */
  get isUnlimited(): boolean {
    return this.#scopes === undefined;
  }

  /** @throws TOO_MANY_REQUESTS with `Retry-After`. */
  admit(): void {
    for (const [limit, perSecond, what] of [
      [this.#requests, this.#grant?.requestsPerSecond, "requests"],
      [this.#bytes, this.#grant?.bodyBytesPerSecond, "bytes of bodies"],
    ] as const) {
      const seconds = limit?.waitSeconds() ?? 0;
      if (seconds > 0) throw tooMany(`this token may send ${perSecond} ${what} a second`, seconds);
    }
    this.#requests?.take(1);
  }

  /** Counts a body that has come, in bytes. */
  receive(bytes: number): void {
    this.#bytes?.take(bytes);
  }

  canWrite(service: string): boolean {
    return this.#scopes === undefined || this.#need(service) === "write";
  }

  /** @throws FORBIDDEN unless a route of `service` is within the scopes, and the prefix can be held against it. */
  allow(service: string, { needs, confine }: Access): void {
    const has = this.#need(service);
    if (has === undefined || (needs === "write" && has !== "write")) {
      const wanted = needs === "write" ? service : `${service}:read`;
      throw forbidden(`this token has no scope "${wanted}"; it has: ${this.#scopeList()}`);
    }
    if (this.prefix !== "" && confine === undefined)
      throw forbidden(`this call reaches beyond names that begin with "${this.prefix}", which this token is for`);
  }

  /** @throws FORBIDDEN unless `name` begins with the prefix. */
  confine(name: string): void {
    if (name.startsWith(this.prefix)) return;
    throw forbidden(`this token is for names that begin with "${this.prefix}"`);
  }

  #need(service: string): Need | undefined {
    return this.#scopes?.get(service) ?? this.#scopes?.get("*");
  }

  #scopeList(): string {
    const list = [...(this.#scopes ?? [])].map(([service, need]) => (need === "write" ? service : `${service}:read`));
    return list.join(", ") || "none";
  }
}

export interface CallersOptions {
  /** Of the limits of each token; see `Caller`. Default: all. */
  readonly share?: number;
  /** For URLs that are signed without a token, where several processes serve. Default: a random one. */
  readonly signingKey?: string | undefined;
}

/** All who may pass. Both kinds of tokens can be replaced while calls come in. */
export class Callers {
  #full: { readonly token: Buffer; readonly caller: Caller } | undefined;
  #anybody: Caller | undefined;
  /** By digest of the token: how long a look-up takes tells nothing of the token. */
  #scoped: ReadonlyMap<string, Caller> | undefined;
  /** By digest, what each was granted, as it was written. */
  #grants: ReadonlyMap<string, string> = new Map();
  #signing: ReadonlyMap<string, Caller> = new Map();

  readonly #options: CallersOptions;

  /** @param tokens As in `SIDECAR_TOKENS`. @throws CONFIG_ERROR */
  constructor(token: string | undefined, tokens?: string, options: CallersOptions = {}) {
    this.#options = options;
    this.setToken(token);
    if (tokens !== undefined) this.setTokens(tokens);
  }

  /** Whoever calls, without any token; undefined as soon as there is one. */
  get anybody(): Caller | undefined {
    if (this.#full !== undefined || this.#scoped !== undefined) return undefined;
    return (this.#anybody ??= new Caller(new UrlSigner(this.#options.signingKey)));
  }

  /** The one that opens everything. */
  setToken(token: string | undefined): void {
    if (token !== undefined && this.#full?.token.equals(Buffer.from(token)) === true) return;
    if (this.#full !== undefined) this.#full.caller.isRevoked = true;
    this.#full =
      token === undefined ? undefined : { token: Buffer.from(token), caller: new Caller(new UrlSigner(token)) };
  }

  /** Those with scopes; who is not in it any more is refused from the next call on. @throws CONFIG_ERROR, and changes nothing. */
  setTokens(text: string): void {
    const scoped = new Map<string, Caller>();
    const grants = new Map<string, string>();
    const signing = new Map<string, Caller>();
    for (const [token, grant] of readTokens(text)) {
      const id = createHmac("sha256", token).update("mikcar id").digest("base64url").slice(0, 16);
      const key = digest(token);
      const same = this.#grants.get(key) === grant.text ? this.#scoped?.get(key) : undefined;
      const caller = same ?? new Caller(new UrlSigner(token, id), grant, this.#options.share);
      scoped.set(key, caller);
      grants.set(key, grant.text);
      signing.set(id, caller);
    }
    for (const [key, caller] of this.#scoped ?? []) caller.isRevoked = scoped.get(key) !== caller;
    this.#scoped = scoped;
    this.#grants = grants;
    this.#signing = signing;
  }

  /** @param given From the header: one character a byte. */
  find(given: string): Caller | undefined {
    const full = this.#full;
    if (full !== undefined && isSame(Buffer.from(given, "latin1"), full.token)) return full.caller;
    return this.#scoped?.get(digest(Buffer.from(given, "latin1")));
  }

  /** The caller whose signature opens `url`; undefined when there is none on it. @throws FORBIDDEN when it is not valid. */
  signerOf(method: string, url: string): Caller | undefined {
    const id = UrlSigner.idOf(url);
    if (id === undefined) return undefined;
    const caller = id === "" ? (this.#full?.caller ?? this.anybody) : this.#signing.get(id);
    if (caller === undefined)
      throw forbidden("the token that this URL was signed with is not valid any more; ask for a new one");
    const fault = caller.signer.verify(method, url);
    if (fault !== undefined) throw fault;
    return caller;
  }
}

function digest(token: string | Buffer): string {
  return hash("sha256", token, "base64");
}

/** The length shows in the time this takes; the content does not. */
function isSame(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function rate(perSecond: number | undefined, share: number): Rate | undefined {
  return perSecond === undefined || share === 0 ? undefined : new Rate(perSecond * share);
}

function tooMany(reason: string, seconds: number): MikcarError {
  const headers = { "Retry-After": String(seconds) };
  return new MikcarError("TOO_MANY_REQUESTS", `${reason}; try again in ${seconds} s`, { headers });
}
