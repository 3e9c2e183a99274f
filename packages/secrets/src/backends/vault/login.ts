/** The token to call Vault with: given, or got by logging in; renewed before it ends, and got anew when it has. */

import { readFile } from "node:fs/promises";
import { unavailable, type Warn } from "@mikcar/core";
import type { Lease, VaultClient } from "./client.ts";
import { VaultFault } from "./translate.ts";

export type Method =
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "approle"; readonly roleId: string; readonly secretId: string; readonly mount: string }
  | { readonly type: "kubernetes"; readonly role: string; readonly jwtFile: string; readonly mount: string };

/** A token is renewed when this part of its time is over. */
const RENEW_AT = 2 / 3;
const RETRY_SECONDS = 10;
/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Login {
  readonly #client: VaultClient;
  readonly #method: Method;
  readonly #warn: Warn;
  #token: string | undefined;
  #pending: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(client: VaultClient, method: Method, warn: Warn) {
    this.#client = client;
    this.#method = method;
    this.#warn = warn;
  }

  /** Logs in when there is no token yet. @throws VaultFault; UNAVAILABLE without the file of a Kubernetes token. */
  async token(): Promise<string> {
    return this.#token ?? (this.#pending ??= this.#begin());
  }

  /**
   * True when `token` is no longer good and there may be another: after a 403, which Vault answers to an ended token and
   * to a missing right alike. @throws VaultFault.
   */
  async hasEnded(token: string): Promise<boolean> {
    if (this.#method.type === "token") return false;
    if (token !== this.#token) return true; // another call has seen it already
    try {
      await this.#client.call((vault) => vault.lookupSelfToken(token));
      return false;
    } catch (error) {
      if (!(error instanceof VaultFault) || error.status !== 403) throw error;
      this.#token = undefined;
      return true;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #begin(): Promise<string> {
    try {
      const method = this.#method;
      const { client_token: token, ...lease } =
        method.type === "token" ? await this.#given(method.token) : await this.#logIn(method);
      this.#token = token;
      this.#schedule(lease.renewable ? lease.lease_duration : 0);
      return token;
    } finally {
      this.#pending = undefined;
    }
  }

  async #given(token: string): Promise<Lease> {
    try {
      const { ttl, renewable } = await this.#client.call((vault) => vault.lookupSelfToken(token));
      return { client_token: token, lease_duration: ttl, renewable };
    } catch (error) {
      if (!(error instanceof VaultFault) || error.status !== 403) throw error;
      return { client_token: token, lease_duration: 0, renewable: false }; // it may have rights, and not that one
    }
  }

  async #logIn(method: Exclude<Method, { type: "token" }>): Promise<Lease> {
    if (method.type === "approle") {
      const { roleId, secretId, mount } = method;
      return this.#client.call((vault) => vault.loginWithAppRole(roleId, secretId, mount));
    }
    const { role, jwtFile, mount } = method;
    const jwt = await readJwt(jwtFile); // anew each time, as Kubernetes replaces it
    return this.#client.call((vault) => vault.loginWithK8s(role, jwt, mount));
  }

  /** @param seconds How long the token lasts; 0: it is not renewed, as it has no end or cannot be. */
  #schedule(seconds: number): void {
    clearTimeout(this.#timer);
    if (seconds === 0 || this.#isClosed) return;
    const delayMs = Math.min(seconds * RENEW_AT * 1000, MAX_TIMER_MS);
    this.#timer = setTimeout(() => void this.#renew(), delayMs).unref();
  }

  async #renew(): Promise<void> {
    const token = this.#token;
    if (token === undefined) return;
    try {
      const { lease_duration } = await this.#client.call((vault) => vault.renewSelfToken(token));
      this.#schedule(lease_duration);
    } catch (error) {
      this.#afterFailure(error);
    }
  }

  #afterFailure(error: unknown): void {
    if (this.#method.type !== "token") {
      this.#token = undefined; // the next call logs in anew
      return;
    }
    this.#warn(`the token for Vault could not be renewed; trying again: ${(error as Error).message}`);
    this.#schedule(RETRY_SECONDS);
  }
}

async function readJwt(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw unavailable(`the Kubernetes token cannot be read from "${path}"`, { cause });
  }
}
