/** Copies that Azure makes itself, of one version, and whole or not at all. */

import type * as Sdk from "@azure/storage-blob";
import { conflict } from "@mikcar/core";
import type { ObjectInfo, Written } from "../../backend.ts";
import { overlapping } from "../cloud/overlapping.ts";
import type { Account } from "./account.ts";
import { isAbsent, isRefused } from "./translate.ts";
import { bareTag } from "../cloud/headers.ts";
import { blockId, sendOptions } from "./upload.ts";

/** Copy Blob From URL takes 256 MiB: https://learn.microsoft.com/rest/api/storageservices/copy-blob-from-url */
const BLOCK_BYTES = 64 * 1024 * 1024;
const AT_ONCE = 4;
const MAX_ATTEMPTS = 10;
const SCOPE = "https://storage.azure.com/.default";
const SIGNED_MS = 3_600_000;

export interface Copied extends Written {
  /** Of the version that was read. */
  readonly from: string;
}

interface Source {
  readonly client: Sdk.BlockBlobClient;
  head(): Promise<ObjectInfo | undefined>;
}

/** @returns undefined when there is nothing. @throws CONFLICT when it changes faster than it can be copied. */
export async function copyBlob(
  sdk: typeof Sdk,
  { credential }: Account,
  source: Source,
  target: Sdk.BlockBlobClient,
): Promise<Copied | undefined> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const info = await source.head();
    if (info === undefined) return undefined;
    try {
      const rights = await rightsTo(sdk, credential, source.client);
      const eTag =
        info.size <= BLOCK_BYTES
          ? await copyWhole(rights, info, target)
          : await copyBlocks(rights, info, target, source.head);
      if (eTag !== undefined) return { size: info.size, eTag, from: info.eTag };
    } catch (error) {
      if (!isRefused(error) && !isAbsent(error)) throw error; // else it is another one by now
    }
  }
  throw conflict(`the object was written ${MAX_ATTEMPTS} times while it was about to be copied; send the call again`);
}

/** With its headers, which come along when none are given. */
async function copyWhole(
  { url, ...rights }: Rights,
  { eTag }: ObjectInfo,
  target: Sdk.BlockBlobClient,
): Promise<string> {
  return bareTag((await target.syncCopyFromURL(url, { sourceConditions: { ifMatch: `"${eTag}"` }, ...rights })).etag);
}

/** Its client cannot name the version for each block, so whether it was one version all along is asked at the end. */
async function copyBlocks(
  { url, ...rights }: Rights,
  info: ObjectInfo,
  target: Sdk.BlockBlobClient,
  head: Source["head"],
): Promise<string | undefined> {
  const run = crypto.randomUUID();
  const indexes = Array.from({ length: Math.ceil(info.size / BLOCK_BYTES) }, (_, index) => index);
  await overlapping(indexes, AT_ONCE, async (index) => {
    const offset = index * BLOCK_BYTES;
    const count = Math.min(BLOCK_BYTES, info.size - offset);
    await target.stageBlockFromURL(blockId(run, index), url, offset, count, rights);
  });
  if ((await head())?.eTag !== info.eTag) return undefined;
  const ids = indexes.map((index) => blockId(run, index));
  return bareTag((await target.commitBlockList(ids, sendOptions(info))).etag);
}

interface Rights {
  readonly url: string;
  readonly sourceAuthorization?: Sdk.HttpAuthorization;
}

/** Azure wants the right to read the source in the request, also within one account. */
async function rightsTo(
  sdk: typeof Sdk,
  credential: Account["credential"],
  client: Sdk.BlockBlobClient,
): Promise<Rights> {
  if (credential === "sas") return { url: client.url };
  if (credential instanceof sdk.StorageSharedKeyCredential) {
    const permissions = sdk.BlobSASPermissions.parse("r");
    return { url: await client.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + SIGNED_MS) }) };
  }
  const token = await credential.getToken(SCOPE);
  return { url: client.url, sourceAuthorization: { scheme: "Bearer", value: token?.token ?? "" } };
}
