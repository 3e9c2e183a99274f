/** The secrets of one project; see https://cloud.google.com/secret-manager/docs/reference/rest */

import { isUtf8 } from "node:buffer";
import type { protos } from "@google-cloud/secret-manager";
import { isMikcarError, unsupported } from "@mikcar/core";
import type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "../../backend.ts";
import { inParallel } from "../../in-parallel.ts";
import { byName, folderOf, isName } from "../../name.ts";
import { idOf, idPrefixOf, nameOf } from "./ids.ts";
import type { Connection } from "./connection.ts";
import { ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND, PERMISSION_DENIED } from "./translate.ts";

type GcpSecret = protos.google.cloud.secretmanager.v1.ISecret;
type GcpVersion = protos.google.cloud.secretmanager.v1.ISecretVersion;
type Timestamp = protos.google.protobuf.ITimestamp;

export interface Options {
  readonly project: string;
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly locations: readonly string[];
}

/** What a label may be: https://cloud.google.com/resource-manager/docs/labels-overview#requirements */
const LABEL_NAME = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
const PAGE = 1000;
/** Making a secret takes two calls: one without a version that is older than this was left behind in between. */
const ABANDONED_MS = 60_000;
/** What is told where the sidecar may read a value, and not its times. */
const UNKNOWN_TIME = new Date(0);

export class GcpSecrets implements SecretsBackend {
  readonly #connection: Connection;
  readonly #project: string;
  readonly #base: string;
  readonly #options: { readonly timeout: number; readonly retry: null; readonly autoPaginate: false };
  readonly #replication: protos.google.cloud.secretmanager.v1.IReplication;

  constructor(connection: Connection, { project, prefix, timeoutMs, locations }: Options) {
    this.#connection = connection;
    this.#project = `projects/${project}`;
    this.#base = folderOf(prefix);
    this.#options = { timeout: timeoutMs, retry: null, autoPaginate: false };
    const replicas = locations.map((location) => ({ location }));
    this.#replication = locations.length === 0 ? { automatic: {} } : { userManaged: { replicas } };
  }

  /** Asks for a secret that is not there: also who has no right to look has reached Google with credentials it knows. */
  async ping(): Promise<void> {
    const name = this.#path("mikcar-ping");
    await this.#connection.unless([NOT_FOUND, PERMISSION_DENIED], (client) =>
      client.getSecret({ name }, this.#options),
    );
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async read(name: string, version?: string): Promise<Secret | undefined> {
    if (version !== undefined && !/^[1-9]\d{0,15}$/.test(version)) return undefined;
    const path = `${this.#path(name)}/versions/${version ?? "latest"}`;
    const [accessed, secret, latest] = await Promise.all([
      this.#connection.unless([NOT_FOUND, FAILED_PRECONDITION], (client) =>
        client.accessSecretVersion({ name: path }, this.#options),
      ),
      ifAllowed(() => this.#secret(name)),
      ifAllowed(() => this.#version(path)),
    ]);
    if (accessed === undefined) return undefined;
    const { name: accessedPath, payload } = accessed[0];
    // The newest may have become another one between the two calls.
    const facts = latest?.name === accessedPath ? latest : await ifAllowed(() => this.#version(accessedPath ?? ""));
    return {
      name,
      value: textOf(payload?.data, name),
      version: numberOf(accessedPath),
      createdAt: timeOf(secret?.createTime),
      updatedAt: timeOf(facts?.createTime),
      labels: secret === undefined ? undefined : (secret.labels ?? {}),
    };
  }

  async create(name: string, value: string, labels: Labels): Promise<boolean> {
    refuseLabels(labels);
    const request = {
      parent: this.#project,
      secretId: idOf(this.#base + name),
      secret: { replication: this.#replication, labels: { ...labels } },
    };
    const made = await this.#connection.unless([ALREADY_EXISTS], (client) =>
      client.createSecret(request, this.#options),
    );
    if (made === undefined) {
      if (!(await this.#isFree(name))) return false;
      await this.#setLabels(name, labels);
    }
    try {
      return await this.#addVersion(name, value);
    } catch (error) {
      if (made !== undefined) await this.#removeEmpty(name);
      throw error;
    }
  }

  async update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    if (labels !== undefined) refuseLabels(labels);
    if (!(await this.exists(name)) || !(await this.#addVersion(name, value))) return false;
    if (labels !== undefined) await this.#setLabels(name, labels);
    return true;
  }

  async remove(name: string): Promise<boolean> {
    if (!(await this.exists(name))) return false;
    const path = this.#path(name);
    return (
      (await this.#connection.unless([NOT_FOUND], (client) => client.deleteSecret({ name: path }, this.#options))) !==
      undefined
    );
  }

  async exists(name: string): Promise<boolean> {
    return isEnabled(await this.#version(`${this.#path(name)}/versions/latest`));
  }

  /** Google promises no order, so the names below the prefix are read for every page; versions for those of the page. */
  async list(prefix: string, { after = "", limit = Infinity }: Page): Promise<readonly Entry[]> {
    const folder = folderOf(prefix);
    const secrets = await this.#all(this.#base + folder);
    const names = secrets
      .map(({ name = "", createTime }) => ({ name: nameOf(idIn(name)).slice(this.#base.length), createTime }))
      .filter(({ name }) => name.startsWith(folder) && isName(name) && name > after)
      .sort(byName);
    const entries = inParallel(names, async ({ name, createTime }): Promise<Entry | undefined> => {
      const newest = await this.#version(`${this.#path(name)}/versions/latest`);
      if (!isEnabled(newest)) return undefined;
      return {
        name,
        version: numberOf(newest?.name),
        createdAt: timeOf(createTime),
        updatedAt: timeOf(newest?.createTime),
      };
    });
    const found: Entry[] = [];
    for await (const entry of entries) {
      if (entry !== undefined) found.push(entry);
      if (found.length >= limit) break;
    }
    return found;
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    const request = { parent: this.#path(name), pageSize: PAGE };
    const all: GcpVersion[] = [];
    const isThere = await this.#connection.unless([NOT_FOUND], async (client) => {
      for await (const version of client.listSecretVersionsAsync(request, this.#options)) all.push(version);
      return true;
    });
    const newestFirst = all
      .map((version) => ({
        isThere: isEnabled(version),
        version: numberOf(version.name),
        createdAt: timeOf(version.createTime),
      }))
      .sort((one, other) => Number(other.version) - Number(one.version));
    if (isThere === undefined || newestFirst[0]?.isThere !== true) return undefined;
    return newestFirst.filter((known) => known.isThere).map(({ version, createdAt }) => ({ version, createdAt }));
  }

  async #secret(name: string): Promise<GcpSecret | undefined> {
    const path = this.#path(name);
    return (
      await this.#connection.unless([NOT_FOUND], (client) => client.getSecret({ name: path }, this.#options))
    )?.[0];
  }

  async #version(path: string): Promise<GcpVersion | undefined> {
    return (
      await this.#connection.unless([NOT_FOUND], (client) => client.getSecretVersion({ name: path }, this.#options))
    )?.[0];
  }

  async #all(namePrefix: string): Promise<GcpSecret[]> {
    const idPrefix = idPrefixOf(namePrefix);
    const filter = idPrefix === "" ? {} : { filter: `name:${idPrefix}` };
    const found: GcpSecret[] = [];
    await this.#connection.call(async (client) => {
      const request = { parent: this.#project, pageSize: PAGE, ...filter };
      for await (const secret of client.listSecretsAsync(request, this.#options)) {
        if (idIn(secret.name).startsWith(idPrefix)) found.push(secret); // the filter finds it anywhere in the name
      }
    });
    return found;
  }

  /** Whether there is nothing of it but a secret without a version that counts. */
  async #isFree(name: string): Promise<boolean> {
    const [secret, version] = await Promise.all([
      this.#secret(name),
      this.#version(`${this.#path(name)}/versions/latest`),
    ]);
    if (secret === undefined) return false;
    if (version !== undefined) return !isEnabled(version);
    return Date.now() - timeOf(secret.createTime).getTime() > ABANDONED_MS;
  }

  /** Without a version it is no secret yet, and stands in the way of the next attempt. */
  async #removeEmpty(name: string): Promise<void> {
    const path = this.#path(name);
    if ((await this.#version(`${path}/versions/latest`)) !== undefined) return; // it came through, or another one's did
    await this.#connection.unless([NOT_FOUND], (client) => client.deleteSecret({ name: path }, this.#options));
  }

  async #addVersion(name: string, value: string): Promise<boolean> {
    const request = { parent: this.#path(name), payload: { data: Buffer.from(value) } };
    return (
      (await this.#connection.unless([NOT_FOUND], (client) => client.addSecretVersion(request, this.#options))) !==
      undefined
    );
  }

  async #setLabels(name: string, labels: Labels): Promise<void> {
    const request = { secret: { name: this.#path(name), labels: { ...labels } }, updateMask: { paths: ["labels"] } };
    await this.#connection.call((client) => client.updateSecret(request, this.#options));
  }

  #path(name: string): string {
    return `${this.#project}/secrets/${idOf(this.#base + name)}`;
  }
}

/** Undefined where the sidecar has no right to it: the role that reads values is allowed nothing else. */
async function ifAllowed<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isMikcarError(error) && error.code === "BAD_GATEWAY") return undefined;
    throw error;
  }
}

function refuseLabels(labels: Labels): void {
  const wrong = Object.entries(labels).find(([key, value]) => !LABEL_NAME.test(key) || !LABEL_VALUE.test(value));
  if (wrong === undefined) return;
  throw unsupported(`labels.${wrong[0]}: GCP labels hold lower-case letters, digits, _ and -, and begin with a letter`);
}

function textOf(data: Uint8Array | string | null | undefined, name: string): string {
  const bytes = typeof data === "string" ? Buffer.from(data, "base64") : Buffer.from(data ?? []);
  if (isUtf8(bytes)) return bytes.toString();
  throw unsupported(`${name} holds bytes that are no text`);
}

function isEnabled(version: GcpVersion | undefined): boolean {
  return version?.state === "ENABLED" || version?.state === 1;
}

/** The last part of `projects/p/secrets/s` or of `…/versions/7`. */
function numberOf(path: string | null | undefined): string {
  return path?.slice(path.lastIndexOf("/") + 1) ?? "";
}

function idIn(path: string | null | undefined): string {
  return numberOf(path);
}

function timeOf(timestamp: Timestamp | null | undefined): Date {
  if (timestamp === undefined || timestamp === null) return UNKNOWN_TIME;
  return new Date(Number(timestamp.seconds ?? 0) * 1000 + Math.floor((timestamp.nanos ?? 0) / 1e6));
}
