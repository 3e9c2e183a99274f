/** The secrets of one mount; see https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 */

import { setTimeout as sleep } from "node:timers/promises";
import { type MikcarError, unsupported } from "@mikcar/core";
import type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "../../backend.ts";
import { inParallel } from "../../in-parallel.ts";
import { folderOf, isName } from "../../name.ts";
import type { ReadSecret, SecretMetadata, VaultClient } from "./client.ts";
import type { Login } from "./login.ts";
import { toMikcarError, VaultFault } from "./translate.ts";

/** How often a write is tried when other sidecars write the same secret in between. */
const MAX_ATTEMPTS = 10;
/** What Vault keeps as metadata, by Go's `unicode.IsPrint`. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

export class VaultSecrets implements SecretsBackend {
  readonly #client: VaultClient;
  readonly #login: Login;
  readonly #mount: string;
  /** Of every name in the mount. */
  readonly #base: string;
  /** By name: the last of the writes of this process, which go one after the other. */
  readonly #writes = new Map<string, Promise<unknown>>();

  constructor(client: VaultClient, login: Login, mount: string, prefix: string) {
    this.#client = client;
    this.#login = login;
    this.#mount = mount;
    this.#base = folderOf(prefix);
  }

  async ping(): Promise<void> {
    const facts = await this.#run((token) => this.#client.call((vault) => vault.lookupSelfToken(token)));
    if (typeof facts.ttl !== "number") throw toMikcarError(new VaultFault(200, "its answer is not that of Vault"));
  }

  async close(): Promise<void> {
    this.#login.close();
    this.#client.close();
  }

  async read(name: string, version?: string): Promise<Secret | undefined> {
    if (version !== undefined && !/^[1-9]\d{0,15}$/.test(version)) return undefined;
    const found = await this.#readVersion(name, version);
    if (found === undefined || found.data === null) return undefined;
    if (typeof found.data !== "object" || typeof found.metadata?.version !== "number") {
      throw toMikcarError(new VaultFault(200, "its answer is not that of Vault"));
    }
    const { created_time, version: number, custom_metadata } = found.metadata;
    // The first version is as old as the secret; of a later one only the metadata knows.
    const createdTime =
      number === 1 ? created_time : ((await this.#metadataIfAllowed(name))?.created_time ?? created_time);
    return {
      name,
      value: valueOf(found.data),
      version: String(number),
      createdAt: new Date(createdTime),
      updatedAt: new Date(created_time),
      labels: custom_metadata ?? {},
    };
  }

  async create(name: string, value: string, labels: Labels): Promise<boolean> {
    refuseLabels(labels);
    return this.#inTurn(name, () => this.#create(name, value, labels));
  }

  async update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    refuseLabels(labels ?? {});
    return this.#inTurn(name, () => this.#update(name, value, labels));
  }

  async #create(name: string, value: string, labels: Labels): Promise<boolean> {
    for (let attempt = 0, cas = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (await this.#write(name, value, cas)) {
        // A new secret has none, unless it was deleted by others with its metadata left.
        if (Object.keys(labels).length > 0 || cas > 0) await this.#setLabels(name, labels);
        return true;
      }
      const metadata = await this.#metadata(name);
      if (metadata !== undefined && isLive(metadata)) return false;
      cas = metadata?.current_version ?? 0;
    }
    return false; // others keep creating and deleting it
  }

  async #update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const metadata = await this.#metadata(name);
      if (metadata === undefined || !isLive(metadata)) return false;
      if (!(await this.#write(name, value, metadata.current_version))) {
        await sleep(Math.random() * 20 * (attempt + 1)); // so that sidecars do not meet again
        continue;
      }
      if (labels !== undefined) await this.#setLabels(name, labels);
      return true;
    }
    throw toMikcarError(new VaultFault(412, "others write the same secret all the time"));
  }

  async remove(name: string): Promise<boolean> {
    const metadata = await this.#metadata(name);
    if (metadata === undefined || !isLive(metadata)) return false;
    await this.#run((token) =>
      this.#client.call((vault) => vault.eliminateKVSecret(token, this.#base + name, this.#mount)),
    );
    return true;
  }

  async exists(name: string): Promise<boolean> {
    const metadata = await this.#metadata(name);
    return metadata !== undefined && isLive(metadata);
  }

  async list(prefix: string, { after, limit = Infinity }: Page): Promise<readonly Entry[]> {
    const names = this.#names(folderOf(prefix), after);
    const entries = inParallel(names, async (name) => entryOf(name, await this.#metadata(name)));
    const found: Entry[] = [];
    for await (const entry of entries) {
      if (entry !== undefined) found.push(entry);
      if (found.length >= limit) break;
    }
    return found;
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    const metadata = await this.#metadata(name);
    if (metadata === undefined || !isLive(metadata)) return undefined;
    return Object.entries(metadata.versions)
      .filter(([, { deletion_time, destroyed }]) => isThere(deletion_time, destroyed))
      .map(([version, { created_time }]) => ({ version, createdAt: new Date(created_time) }))
      .sort((one, other) => Number(other.version) - Number(one.version));
  }

  /** In order, folder by folder: a folder stands among its neighbours with its `/`, and so do the names in it. */
  async *#names(folder: string, after: string | undefined): AsyncGenerator<string> {
    for (const key of await this.#keys(folder)) {
      const name = folder + key;
      if (key.endsWith("/")) {
        if (after === undefined || name > after || after.startsWith(name)) yield* this.#names(name, after);
      } else if (isName(name) && (after === undefined || name > after)) {
        yield name;
      }
    }
  }

  async #keys(folder: string): Promise<readonly string[]> {
    if (folder !== "" && !isName(folder.slice(0, -1))) return [];
    const path = (this.#base + folder).replace(/\/$/, "");
    const found = await this.#ifThere((token) =>
      this.#client.call((vault) => vault.listKVSecrets(token, path, this.#mount)),
    );
    return (found?.keys ?? []).toSorted((one, other) => (one < other ? -1 : 1));
  }

  /** Its data is null when that version was deleted. */
  async #readVersion(name: string, version: string | undefined): Promise<ReadSecret | undefined> {
    return this.#ifThere((token) =>
      this.#client.call((vault) => vault.readKVSecret(token, this.#base + name, version, this.#mount)),
    );
  }

  async #metadata(name: string): Promise<SecretMetadata | undefined> {
    return this.#ifThere((token) =>
      this.#client.call((vault) => vault.readKVSecretMeta(token, this.#base + name, this.#mount)),
    );
  }

  /** A policy may allow reading values, and not the metadata. */
  async #metadataIfAllowed(name: string): Promise<SecretMetadata | undefined> {
    try {
      return await this.#metadata(name);
    } catch (error) {
      if (isForbidden(error)) return undefined;
      throw error;
    }
  }

  async #inTurn<T>(name: string, write: () => Promise<T>): Promise<T> {
    const before = this.#writes.get(name) ?? Promise.resolve();
    const mine = before.then(write, write);
    this.#writes.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#writes.get(name) === mine) this.#writes.delete(name);
    }
  }

  /** False when the secret has another version than `cas`; 0: it has one. */
  async #write(name: string, value: string, cas: number): Promise<boolean> {
    const path = `${this.#mount}/data/${this.#base}${name}`;
    return this.#run(async (token) => {
      try {
        await this.#client.write(token, path, { value }, cas);
        return true;
      } catch (error) {
        if (error instanceof VaultFault && error.status === 400 && error.message.includes("check-and-set"))
          return false;
        throw error;
      }
    });
  }

  async #setLabels(name: string, labels: Labels): Promise<void> {
    const metadata = { custom_metadata: labels };
    await this.#run((token) =>
      this.#client.call((vault) => vault.updateKVSecretMeta(token, this.#base + name, metadata, this.#mount)),
    );
  }

  async #ifThere<T>(work: (token: string) => Promise<T>): Promise<T | undefined> {
    return this.#run(async (token) => {
      try {
        return await work(token);
      } catch (error) {
        if (error instanceof VaultFault && error.status === 404) return undefined;
        throw error;
      }
    });
  }

  /** With a token; with a new one when it turns out to have ended. @throws as `SecretsBackend` says. */
  async #run<T>(work: (token: string) => Promise<T>): Promise<T> {
    try {
      const token = await this.#login.token();
      try {
        return await work(token);
      } catch (error) {
        if (!(error instanceof VaultFault) || error.status !== 403 || !(await this.#login.hasEnded(token))) throw error;
      }
      return await work(await this.#login.token());
    } catch (error) {
      throw error instanceof VaultFault ? toMikcarError(error) : error;
    }
  }
}

/** @throws UNSUPPORTED for one that Vault does not take. */
function refuseLabels(labels: Labels): void {
  const wrong = Object.entries(labels).find(([, value]) => !PRINTABLE.test(value));
  if (wrong !== undefined)
    throw unsupported(`labels.${wrong[0]}: Vault takes printable characters and plain spaces alone`);
}

/** A secret with the one field `value` is that value; any other comes as its JSON. */
function valueOf(data: Readonly<Record<string, unknown>>): string {
  const { value, ...others } = data;
  const single = value !== undefined && Object.keys(others).length === 0 ? value : data;
  return typeof single === "string" ? single : JSON.stringify(single);
}

function entryOf(name: string, metadata: SecretMetadata | undefined): Entry | undefined {
  if (metadata === undefined || !isLive(metadata)) return undefined;
  const { current_version, created_time } = metadata;
  const updated = metadata.versions[current_version]?.created_time ?? created_time;
  return {
    name,
    version: String(current_version),
    createdAt: new Date(created_time),
    updatedAt: new Date(updated),
  };
}

/** Its newest version is there. */
function isLive({ versions, current_version }: SecretMetadata): boolean {
  const newest = versions[current_version];
  return newest !== undefined && isThere(newest.deletion_time, newest.destroyed);
}

/** A time of deletion may lie ahead: `delete_version_after`. */
function isThere(deletionTime: string, destroyed: boolean): boolean {
  return !destroyed && (deletionTime === "" || Date.parse(deletionTime) > Date.now());
}

function isForbidden(error: unknown): boolean {
  const { cause } = error as MikcarError;
  return cause instanceof VaultFault && cause.status === 403;
}
