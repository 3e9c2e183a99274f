/**
 * Secrets in AWS Secrets Manager: `awssm://region[/prefix]`, without a region that of the environment or the profile.
 * Who the sidecar is, AWS's own chain finds: variables, profiles, web identity, containers, instances.
 * `endpoint`: of another server that speaks this protocol; `timeout_ms` (5000) of an attempt, of which a call has three at most;
 * `recovery_days`: a deleted secret can be restored for so long, and its name is taken meanwhile; 0, the default: it is gone.
 */

import { isUtf8 } from "node:buffer";
import type * as Sdk from "@aws-sdk/client-secrets-manager";
import type {
  DescribeSecretCommandOutput,
  GetSecretValueCommandOutput,
  SecretListEntry,
  SecretsManagerClient,
  Tag,
} from "@aws-sdk/client-secrets-manager";
import { configError, isMikcarError, type Open, optional, unsupported } from "@mikcar/core";
import type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "../../backend.ts";
import { byName, folderOf, isName, prefixOf } from "../../name.ts";
import { ABSENT, attempt, NO_VERSION, unless } from "./translate.ts";

/** What a tag may hold: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const PAGE = 100; // the most there is
const CURRENT = "AWSCURRENT"; // the stage of the newest version
const MAX_SOCKETS = 32;

export const open: Open<SecretsBackend> = async (url) => {
  const endpoint = url.string("endpoint", "");
  const timeoutMs = url.integer("timeout_ms", 5000, { min: 1, max: 600_000 });
  const recoveryDays = url.integer("recovery_days", 0, { max: 30 });
  if (recoveryDays > 0 && recoveryDays < 7) throw configError('parameter "recovery_days": AWS takes 7 to 30, or 0');
  if (endpoint !== "" && URL.parse(endpoint)?.username !== "") {
    throw configError('parameter "endpoint": expected http:// or https:// with a host, and no login');
  }
  const prefix = prefixOf(url);
  const sdk = await optional("@aws-sdk/client-secrets-manager", () => import("@aws-sdk/client-secrets-manager"));
  const client = new sdk.SecretsManagerClient({
    ...(url.host === "" ? {} : { region: url.host }),
    ...(endpoint === "" ? {} : { endpoint }),
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
    },
  });
  return new AwsSecrets(sdk, client, prefix, recoveryDays);
};

class AwsSecrets implements SecretsBackend {
  readonly #sdk: typeof Sdk;
  readonly #client: SecretsManagerClient;
  readonly #base: string;
  readonly #recoveryDays: number;

  constructor(sdk: typeof Sdk, client: SecretsManagerClient, prefix: string, recoveryDays: number) {
    this.#sdk = sdk;
    this.#client = client;
    this.#base = folderOf(prefix);
    this.#recoveryDays = recoveryDays;
  }

  /** Asks for a secret that is not there: also who has no right to look has reached AWS with credentials it knows. */
  async ping(): Promise<void> {
    const command = new this.#sdk.DescribeSecretCommand({ SecretId: `${this.#base}mikcar-ping` });
    await unless([...ABSENT, "AccessDeniedException"], () => this.#client.send(command));
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async read(name: string, version?: string): Promise<Secret | undefined> {
    const command = new this.#sdk.GetSecretValueCommand({ SecretId: this.#base + name, VersionId: version });
    const absent = version === undefined ? ABSENT : [...ABSENT, ...NO_VERSION];
    const [found, facts] = await Promise.all([
      unless(absent, () => this.#client.send(command)),
      this.#factsIfAllowed(name),
    ]);
    if (found === undefined) return undefined;
    const { CreatedDate: updatedAt = new Date(0), VersionId = "" } = found;
    return {
      name,
      value: textOf(found, name),
      version: VersionId,
      createdAt: facts?.createdAt ?? updatedAt,
      updatedAt,
      labels: facts?.labels,
    };
  }

  async create(name: string, value: string, labels: Labels): Promise<boolean> {
    const request = { Name: this.#base + name, SecretString: value, Tags: tagsOf(labels) };
    const command = new this.#sdk.CreateSecretCommand(request);
    // InvalidRequestException: it waits for its deletion.
    const made = await unless(["ResourceExistsException", "InvalidRequestException"], () => this.#client.send(command));
    return made !== undefined || this.#createEmpty(name, value, request.Tags);
  }

  async update(name: string, value: string, labels: Labels | undefined): Promise<boolean> {
    const tags = labels === undefined ? undefined : tagsOf(labels);
    const command = new this.#sdk.PutSecretValueCommand({ SecretId: this.#base + name, SecretString: value });
    const made = await unless(ABSENT, () => this.#client.send(command));
    if (made !== undefined && tags !== undefined) await this.#replaceTags(name, tags);
    return made !== undefined;
  }

  async remove(name: string): Promise<boolean> {
    // With force AWS answers alike whether the secret was there, so it is asked first.
    if (!(await this.exists(name))) return false;
    const how =
      this.#recoveryDays === 0 ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: this.#recoveryDays };
    const command = new this.#sdk.DeleteSecretCommand({ SecretId: this.#base + name, ...how });
    return (await unless(ABSENT, () => this.#client.send(command))) !== undefined;
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#facts(name)) !== undefined;
  }

  /** AWS lists in an order of its own, so all names below the prefix are read for every page. */
  async list(prefix: string, { after = "", limit }: Page): Promise<readonly Entry[]> {
    const folder = this.#base + folderOf(prefix);
    const Filters = folder === "" ? [] : [{ Key: "name" as const, Values: [folder] }];
    const found: Entry[] = [];
    await attempt(async () => {
      const pages = this.#sdk.paginateListSecrets({ client: this.#client, pageSize: PAGE }, { Filters });
      for await (const { SecretList = [] } of pages) {
        for (const secret of SecretList) {
          // The filter is no exact one: it takes upper case for lower case.
          if (secret.Name?.startsWith(folder) === true)
            found.push(entryOf(secret.Name.slice(this.#base.length), secret));
        }
      }
    });
    return found
      .filter(({ name, version }) => version !== "" && isName(name) && name > after)
      .sort(byName)
      .slice(0, limit);
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    if (!(await this.exists(name))) return undefined;
    const request = { SecretId: this.#base + name, IncludeDeprecated: true };
    const found: Version[] = [];
    await unless(ABSENT, async () => {
      const pages = this.#sdk.paginateListSecretVersionIds({ client: this.#client, pageSize: PAGE }, request);
      for await (const { Versions = [] } of pages) {
        found.push(
          ...Versions.map(({ VersionId = "", CreatedDate = new Date(0) }) => ({
            version: VersionId,
            createdAt: CreatedDate,
          })),
        );
      }
    });
    return found.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  }

  /** True when others have made it without a value, and it has this one now. */
  async #createEmpty(name: string, value: string, tags: readonly Tag[]): Promise<boolean> {
    const found = await this.#describe(name);
    if (found === undefined || found.DeletedDate !== undefined || hasValue(found)) return false;
    const command = new this.#sdk.PutSecretValueCommand({ SecretId: this.#base + name, SecretString: value });
    await attempt(() => this.#client.send(command));
    await this.#replaceTags(name, tags);
    return true;
  }

  /** Undefined when it is absent, waits for its deletion, or has no value. */
  async #facts(name: string): Promise<Facts | undefined> {
    const found = await this.#describe(name);
    if (found === undefined || found.DeletedDate !== undefined || !hasValue(found)) return undefined;
    return { createdAt: found.CreatedDate, labels: labelsOf(found.Tags ?? []) };
  }

  async #describe(name: string): Promise<DescribeSecretCommandOutput | undefined> {
    const command = new this.#sdk.DescribeSecretCommand({ SecretId: this.#base + name });
    return unless(ABSENT, () => this.#client.send(command));
  }

  /** A policy may allow reading values, and not this. */
  async #factsIfAllowed(name: string): Promise<Facts | undefined> {
    try {
      return await this.#facts(name);
    } catch (error) {
      if (isMikcarError(error) && error.code === "BAD_GATEWAY") return undefined;
      throw error;
    }
  }

  async #replaceTags(name: string, tags: readonly Tag[]): Promise<void> {
    const SecretId = this.#base + name;
    const before = Object.keys((await this.#facts(name))?.labels ?? {});
    const TagKeys = before.filter((key) => tags.every(({ Key }) => Key !== key));
    const { TagResourceCommand, UntagResourceCommand } = this.#sdk;
    await attempt(async () => {
      // In this order, as a secret has no room for both.
      if (TagKeys.length > 0) await this.#client.send(new UntagResourceCommand({ SecretId, TagKeys }));
      if (tags.length > 0) await this.#client.send(new TagResourceCommand({ SecretId, Tags: [...tags] }));
    });
  }
}

function hasValue({ VersionIdsToStages = {} }: DescribeSecretCommandOutput): boolean {
  return Object.values(VersionIdsToStages).some((stages) => stages.includes(CURRENT));
}

interface Facts {
  readonly createdAt: Date | undefined;
  readonly labels: Labels;
}

function textOf({ SecretString, SecretBinary }: GetSecretValueCommandOutput, name: string): string {
  if (SecretString !== undefined) return SecretString;
  const bytes = Buffer.from(SecretBinary ?? []);
  if (isUtf8(bytes)) return bytes.toString();
  throw unsupported(`${name} holds bytes that are no text`);
}

function entryOf(name: string, secret: SecretListEntry): Entry {
  const { SecretVersionsToStages = {}, CreatedDate = new Date(0), LastChangedDate } = secret;
  const [version = ""] = Object.entries(SecretVersionsToStages).find(([, stages]) => stages.includes(CURRENT)) ?? [];
  return { name, version, createdAt: CreatedDate, updatedAt: LastChangedDate ?? CreatedDate };
}

/** @throws UNSUPPORTED for one that AWS does not take as a tag. */
function tagsOf(labels: Labels): Tag[] {
  return Object.entries(labels).map(([Key, Value]) => {
    if (TAG_TEXT.test(Key) && TAG_TEXT.test(Value) && !/^aws:/i.test(Key)) return { Key, Value };
    throw unsupported(`labels.${Key}: AWS tags hold letters, digits, spaces and _.:/=+-@`);
  });
}

/** Without those of AWS itself. */
function labelsOf(tags: readonly Tag[]): Labels {
  return Object.fromEntries(tags.flatMap(({ Key = "", Value = "" }) => (Key.startsWith("aws:") ? [] : [[Key, Value]])));
}
