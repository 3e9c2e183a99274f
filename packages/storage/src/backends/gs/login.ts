/** Who the sidecar is for Google, by the credentials that its client library finds. */

import type { Storage } from "@google-cloud/storage";
import { isMikcarError, MikcarError, unavailable } from "@mikcar/core";

export interface LoginOptions {
  readonly bucket: string;
  /** `gs://bucket`, for sentences. */
  readonly place: string;
  /** How long credentials may take to come. */
  readonly waitMs: number;
}

/** The parts of an error of Google's libraries that are used. Its message may quote the key file. */
interface AuthError {
  readonly name?: string;
  readonly code?: string | number;
  readonly status?: number;
  readonly response?: { readonly status?: number };
}

const MAX_SIGNED_MS = 7 * 24 * 60 * 60 * 1000; // the longest that a signature of version 4 holds
const NETWORK = /^(?:E(?!RR_)[A-Z_]+|UND_ERR_\w+)$/;
const FILE = /^(?:ENOENT|EACCES|EISDIR|EPERM)$/;

/** Where credentials come from, for the sentences of the log. */
export const LOOK =
  "look at GOOGLE_APPLICATION_CREDENTIALS, key_file=, the login of gcloud, or the service account of this machine";

export class Login {
  readonly #make: () => Storage;
  readonly #options: LoginOptions;
  #storage: Storage | undefined;
  #last: Readonly<Record<string, string>> | undefined;

  constructor(make: () => Storage, options: LoginOptions) {
    this.#make = make;
    this.#options = options;
  }

  /**
   * What a request carries. Tokens are kept, and renewed minutes before they expire; when they cannot be just then, they
   * are still good. @throws BAD_GATEWAY, or UNAVAILABLE
   */
  async headers(): Promise<Readonly<Record<string, string>>> {
    try {
      const headers = await this.#attempt((storage) => storage.authClient.getRequestHeaders());
      this.#last = Object.fromEntries(headers);
      return this.#last;
    } catch (error) {
      if (this.#last !== undefined && isMikcarError(error) && error.code === "UNAVAILABLE") return this.#last;
      throw error;
    }
  }

  /** Credentials are looked for anew: Google has refused the token. */
  forget(): void {
    this.#storage = undefined;
    this.#last = undefined;
  }

  /** @returns undefined when these credentials cannot sign: those of a user, or without the right to `signBlob`. */
  async sign(method: "GET" | "PUT", key: string, expiresAt: Date): Promise<string | undefined> {
    const now = Date.now();
    const expires = Math.min(Math.max(expiresAt.getTime(), now + 1000), now + MAX_SIGNED_MS);
    return this.#attempt(async (storage) => {
      try {
        const action = method === "GET" ? "read" : "write";
        const file = storage.bucket(this.#options.bucket).file(key);
        const [url] = await file.getSignedUrl({ version: "v4", action, expires, accessibleAt: now });
        return url;
      } catch (error) {
        if ((error as AuthError).name === "SigningError") return undefined;
        throw error;
      }
    });
  }

  /** What has failed is made anew for the next call: a key file may be there by then. */
  async #attempt<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    const storage = (this.#storage ??= this.#make());
    try {
      return await this.#inTime(work(storage));
    } catch (error) {
      if (this.#storage === storage) this.#storage = undefined;
      throw this.#translate(error as AuthError);
    }
  }

  /** Google's libraries wait for ever for a server of tokens that says nothing. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { waitMs } = this.#options;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => void reject(Object.assign(new Error("too late"), { code: "ETIMEDOUT" })), waitMs);
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #translate({ name = "Error", code, status, response }: AuthError): MikcarError {
    const { place } = this.#options;
    const answer = response?.status ?? status;
    const isUnheard = answer === undefined && NETWORK.test(String(code)) && !FILE.test(String(code));
    if (isUnheard || (answer !== undefined && answer >= 500)) {
      return unavailable(`${place}: the server that gives credentials does not answer (${answer ?? code})`);
    }
    const why = code ?? (name === "Error" ? "none found" : name);
    const what = answer === undefined ? `no credentials (${why})` : `credentials are refused (HTTP ${answer})`;
    return new MikcarError("BAD_GATEWAY", `${place}: ${what}; ${LOOK}`);
  }
}
