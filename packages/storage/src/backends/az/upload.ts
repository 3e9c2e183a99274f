/** Writes of any length. Staged blocks are no object, and Azure drops those that nobody commits after a week. */

import type * as Sdk from "@azure/storage-blob";
import { MikcarError } from "@mikcar/core";
import type { ObjectHeaders, Written } from "../../backend.ts";
import { bareTag } from "../cloud/headers.ts";
import { overlapping } from "../cloud/overlapping.ts";
import { cutBody, PART_BYTES } from "../cloud/parts.ts";
import { kept } from "./names.ts";

const AT_ONCE = 3;
/** https://learn.microsoft.com/rest/api/storageservices/put-block-list */
const MAX_BLOCKS = 50_000;

export type SendOptions = Pick<Sdk.BlockBlobCommitBlockListOptions, "blobHTTPHeaders" | "metadata" | "conditions">;

/** @throws BAD_REQUEST for metadata that Azure does not keep. */
export function sendOptions({ contentType, cacheControl, metadata }: ObjectHeaders): SendOptions {
  const blobHTTPHeaders = {
    blobContentType: contentType,
    ...(cacheControl === undefined ? {} : { blobCacheControl: cacheControl }),
  };
  return { blobHTTPHeaders, metadata: kept(metadata) };
}

/** In one request when the body is no longer than a part. Errors of the body and of Azure come as they are. */
export async function upload(
  client: Sdk.BlockBlobClient,
  body: AsyncIterable<Buffer>,
  options: SendOptions,
): Promise<Written> {
  const cut = await cutBody(body);
  if ("whole" in cut) {
    const { bytes, free } = cut.whole;
    const { etag } = await client.upload(bytes, bytes.length, options).finally(free);
    return { size: bytes.length, eTag: bareTag(etag) };
  }
  let size = 0;
  const run = crypto.randomUUID();
  const ids: string[] = [];
  try {
    await overlapping(cut.parts, AT_ONCE, async ({ bytes, free }, index) => {
      const id = blockId(run, index);
      ids[index] = id;
      size += bytes.length;
      await client.stageBlock(id, bytes, bytes.length).finally(free);
    });
  } finally {
    await cut.drop();
  }
  const { etag } = await client.commitBlockList(ids, options);
  return { size, eTag: bareTag(etag) };
}

/** All ids of a blob must have one length; those of two uploads to it must not meet. */
export function blockId(run: string, index: number): string {
  if (index < MAX_BLOCKS) return Buffer.from(`${run}${String(index).padStart(6, "0")}`).toString("base64");
  const limit = MAX_BLOCKS * PART_BYTES;
  throw new MikcarError("PAYLOAD_TOO_LARGE", `the body is larger than ${limit} bytes, which is what 50000 blocks hold`);
}
