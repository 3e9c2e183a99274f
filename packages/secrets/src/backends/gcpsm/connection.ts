/** Google's client, made when it is first needed, and anew as long as it finds no credentials. */

import type { SecretManagerServiceClient as Client } from "@google-cloud/secret-manager";
import { MikcarError } from "@mikcar/core";
import { attempt, unless } from "./translate.ts";

export class Connection {
  readonly #make: () => Client;
  #client: Promise<Client> | undefined;

  constructor(make: () => Client) {
    this.#make = make;
  }

  /** @throws as `attempt`. */
  async call<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return attempt(async () => work(await this.#connect()));
  }

  /** As `call`; undefined when Google answers with one of these codes. */
  async unless<T>(codes: readonly number[], work: (client: Client) => Promise<T>): Promise<T | undefined> {
    return unless(codes, async () => work(await this.#connect()));
  }

  async close(): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.close(); // one that could not be made has nothing to close
  }

  /** A client whose `initialize` has failed stays so; and a call of one that was not awaited would end the process. */
  #connect(): Promise<Client> {
    this.#client ??= this.#begin();
    return this.#client;
  }

  async #begin(): Promise<Client> {
    const client = this.#make();
    try {
      await client.initialize();
      return client;
    } catch (error) {
      this.#client = undefined;
      const { code, name } = error as NodeJS.ErrnoException;
      // Its message may quote the key file.
      throw new MikcarError(
        "BAD_GATEWAY",
        `GCP Secret Manager: no credentials (${code ?? name}); set GOOGLE_APPLICATION_CREDENTIALS to a key file, or give this machine a service account`,
      );
    }
  }
}
