/** URLs that give a right to one blob for a while. */

import type * as Sdk from "@azure/storage-blob";
import type { SignedUrl } from "../../backend.ts";
import type { Account } from "./account.ts";

/** The most there is: https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key */
const KEY_MS = 7 * 24 * 3_600_000;
const PERMISSIONS = { GET: "r", PUT: "cw" } as const;

export class Signer {
  readonly #sdk: typeof Sdk;
  readonly #account: Account;
  #key: { readonly expiresAt: number; readonly key: Sdk.UserDelegationKey } | undefined;

  constructor(sdk: typeof Sdk, account: Account) {
    this.#sdk = sdk;
    this.#account = account;
  }

  /** Undefined for who has a signature only, or no right to sign. */
  async sign(method: "GET" | "PUT", blob: Sdk.BlobClient, expiresOn: Date): Promise<SignedUrl | undefined> {
    const { credential } = this.#account;
    const permissions = this.#sdk.BlobSASPermissions.parse(PERMISSIONS[method]);
    const headers: Record<string, string> = method === "PUT" ? { "x-ms-blob-type": "BlockBlob" } : {};
    if (credential === "sas") return undefined;
    if (credential instanceof this.#sdk.StorageSharedKeyCredential) {
      return { url: await blob.generateSasUrl({ permissions, expiresOn }), headers };
    }
    const key = await this.#delegated(expiresOn);
    if (key === undefined) return undefined;
    return { url: await blob.generateUserDelegationSasUrl({ permissions, expiresOn }, key), headers };
  }

  async #delegated(expiresOn: Date): Promise<Sdk.UserDelegationKey | undefined> {
    if (this.#key !== undefined && this.#key.expiresAt >= expiresOn.getTime()) return this.#key.key;
    const expiresAt = Date.now() + KEY_MS;
    try {
      const key = await this.#account.service.getUserDelegationKey(new Date(Date.now() - 60_000), new Date(expiresAt));
      this.#key = { expiresAt, key };
      return key;
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 403) return undefined;
      throw error;
    }
  }
}
