/**
 * Secrets in one encrypted file: `file:///path/secrets.enc`. It has no parameters.
 * Its key is `SECRETS_KEY` (or the file that `SECRETS_KEY_FILE` names), else the file `secrets.enc.key` beside it, which
 * is made on first use with mode 0600. Several processes of one machine may share it.
 * The newest 10 versions of each secret are kept.
 */

import { existsSync, realpathSync } from "node:fs";
import { type ConfigUrl, configError, type Open } from "@mikcar/core";
import type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "../../backend.ts";
import { fileKeys, keyOfVariable, keyPath, makeKeyFile } from "./key.ts";
import { SecretsFile } from "./store.ts";

export const open: Open<SecretsBackend> = async (url) => {
  const path = filePath(url);
  const key = keyOfVariable(process.env, "SECRETS_KEY");
  const keys = (): Buffer[] => (key === undefined ? fileKeys(path) : [key]);
  if (keys().length === 0) firstKey(path);
  const file = new SecretsFile(path, keys);
  await file.begin();
  return new FileSecrets(file);
};

/** @throws CONFIG_ERROR without one. */
export function filePath({ path }: ConfigUrl): string {
  if (path !== "" && !path.endsWith("/")) return existsSync(path) ? realpathSync(path) : path; // not the link to it
  throw configError("file: expected the path of a file, as in file:///var/lib/mikcar/secrets.enc");
}

function firstKey(path: string): void {
  if (!existsSync(path)) return makeKeyFile(keyPath(path));
  throw configError(`"${path}" is there and its key is not; put "${keyPath(path)}" back, or set SECRETS_KEY`);
}

class FileSecrets implements SecretsBackend {
  readonly #file: SecretsFile;

  constructor(file: SecretsFile) {
    this.#file = file;
  }

  async ping(): Promise<void> {
    await this.#file.book();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async read(name: string, version?: string): Promise<Secret | undefined> {
    return (await this.#file.book()).read(name, version);
  }

  create(name: string, value: string, labels: Labels): Promise<boolean> {
    return this.#file.change((book) => book.create(name, value, labels));
  }

  update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    return this.#file.change((book) => book.update(name, value, labels));
  }

  remove(name: string): Promise<boolean> {
    return this.#file.change((book) => book.remove(name));
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#file.book()).exists(name);
  }

  async list(prefix: string, page: Page): Promise<readonly Entry[]> {
    return (await this.#file.book()).list(prefix, page);
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    return (await this.#file.book()).versions(name);
  }
}
