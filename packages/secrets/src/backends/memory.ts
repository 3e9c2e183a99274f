/**
 * Secrets in the memory of this process: `memory://`. It has no parameters, and ends with the process.
 * The newest 10 versions of each are kept.
 */

import { type Open, unavailable } from "@mikcar/core";
import type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "../backend.ts";
import { Book } from "../book.ts";

export const open: Open<SecretsBackend> = async () => new MemorySecrets();

class MemorySecrets implements SecretsBackend {
  #book: Book | undefined = Book.of([]);

  async ping(): Promise<void> {
    this.#open();
  }

  async close(): Promise<void> {
    this.#book = undefined;
  }

  async read(name: string, version?: string): Promise<Secret | undefined> {
    return this.#open().read(name, version);
  }

  async create(name: string, value: string, labels: Labels): Promise<boolean> {
    return this.#open().create(name, value, labels);
  }

  async update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    return this.#open().update(name, value, labels);
  }

  async remove(name: string): Promise<boolean> {
    return this.#open().remove(name);
  }

  async exists(name: string): Promise<boolean> {
    return this.#open().exists(name);
  }

  async list(prefix: string, page: Page): Promise<readonly Entry[]> {
    return this.#open().list(prefix, page);
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    return this.#open().versions(name);
  }

  #open(): Book {
    if (this.#book === undefined) throw unavailable("the secrets are closed");
    return this.#book;
  }
}
