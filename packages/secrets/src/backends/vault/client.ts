/** The part of `hashi-vault-js` that is used here, on connections that are kept, with errors that hold nothing secret. */

import http from "node:http";
import https from "node:https";
import { optional } from "@mikcar/core";
import { translate, VaultFault } from "./translate.ts";

/** What its KV 2 calls answer: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 */
export interface ReadSecret {
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly metadata: VersionMetadata & { readonly custom_metadata?: Readonly<Record<string, string>> | null };
}

export interface VersionMetadata {
  readonly created_time: string;
  readonly deletion_time: string;
  readonly destroyed: boolean;
  readonly version: number;
}

export interface SecretMetadata {
  readonly created_time: string;
  readonly current_version: number;
  readonly custom_metadata?: Readonly<Record<string, string>> | null;
  readonly versions: Readonly<Record<string, Omit<VersionMetadata, "version">>>;
}

/** https://developer.hashicorp.com/vault/api-docs/auth/token#sample-response-4 and the like. */
export interface Lease {
  readonly client_token: string;
  readonly lease_duration: number;
  readonly renewable: boolean;
}

export interface TokenFacts {
  readonly ttl: number;
  readonly renewable: boolean;
}

/** The class that `hashi-vault-js` exports, whose own types know no results. */
interface HashiVault {
  readonly instance: AxiosInstance;
  readKVSecret(token: string, name: string, version: string | undefined, mount: string): Promise<ReadSecret>;
  createKVSecret(token: string, name: string, data: object, mount: string): Promise<unknown>;
  eliminateKVSecret(token: string, name: string, mount: string): Promise<unknown>;
  listKVSecrets(token: string, folder: string, mount: string): Promise<{ readonly keys: readonly string[] }>;
  readKVSecretMeta(token: string, name: string, mount: string): Promise<SecretMetadata>;
  updateKVSecretMeta(token: string, name: string, metadata: object, mount: string): Promise<unknown>;
  loginWithAppRole(roleId: string, secretId: string, mount: string): Promise<Lease>;
  loginWithK8s(role: string, jwt: string, mount: string): Promise<Lease>;
  lookupSelfToken(token: string): Promise<TokenFacts>;
  renewSelfToken(token: string): Promise<Lease>;
}

/** The axios instance inside it. */
interface AxiosInstance {
  (request: { url: string; method: string; headers: Record<string, string>; data: unknown }): Promise<{
    readonly data: unknown;
  }>;
  readonly defaults: Record<string, unknown>;
  readonly interceptors: { readonly request: { use(change: (request: object) => object): void } };
}

export interface ServerOptions {
  readonly url: string;
  readonly ca: string | undefined;
  readonly namespace: string;
  readonly timeoutMs: number;
}

/** Enough for a busy sidecar; what is more waits for one of these. */
const MAX_SOCKETS = 32;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024; // a folder may list very many names

export class VaultClient {
  readonly #vault: HashiVault;
  readonly #agent: http.Agent;

  private constructor(vault: HashiVault, agent: http.Agent) {
    this.#vault = vault;
    this.#agent = agent;
  }

  /** @throws CONFIG_ERROR when the library is not installed. */
  static async create({ url, ca, namespace, timeoutMs }: ServerOptions): Promise<VaultClient> {
    const { default: Vault } = await optional("hashi-vault-js", () => import("hashi-vault-js"));
    const vault = new Vault({ baseUrl: `${url}/v1`, timeout: timeoutMs, namespace }) as unknown as HashiVault;
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS };
    const agent = url.startsWith("https:")
      ? new https.Agent({ ...options, ...(ca === undefined ? {} : { ca }) })
      : new http.Agent(options);
    // A redirect would carry the token along, to wherever it leads: a standby that redirects counts as standby.
    Object.assign(vault.instance.defaults, {
      httpAgent: agent,
      httpsAgent: agent,
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
    });
    // Its own time limit begins anew with each byte.
    vault.instance.interceptors.request.use((request) => ({ ...request, signal: AbortSignal.timeout(timeoutMs) }));
    return new VaultClient(vault, agent);
  }

  /** @throws VaultFault, whatever goes wrong. */
  async call<T>(work: (vault: HashiVault) => Promise<T>): Promise<T> {
    try {
      return await work(this.#vault);
    } catch (error) {
      throw translate(error);
    }
  }

  /**
   * The library's own `updateKVSecret` prints the request, token and value, when it fails; so this is it without that.
   * @returns The version that was written. @throws VaultFault.
   */
  async write(token: string, path: string, data: object, cas: number): Promise<number> {
    const headers = { "X-Vault-Token": token };
    const answer = await this.call((vault) =>
      vault.instance({ url: path, method: "post", headers, data: { options: { cas }, data } }),
    );
    const version = (answer.data as { data?: { version?: unknown } } | undefined)?.data?.version;
    if (typeof version === "number") return version;
    throw new VaultFault(200, "its answer is not that of Vault");
  }

  close(): void {
    this.#agent.destroy();
  }
}
