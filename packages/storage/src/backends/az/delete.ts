/** Many deletes in one request: https://learn.microsoft.com/rest/api/storageservices/blob-batch */

import type * as Sdk from "@azure/storage-blob";
import type { DeleteReport } from "../../backend.ts";
import { isAbsent, translate } from "./translate.ts";

const MAX_BATCH = 256;

/** @param blobOf Throws for a path that Azure takes not. */
export async function deleteBlobs(
  container: Sdk.ContainerClient,
  paths: readonly string[],
  blobOf: (path: string) => Sdk.BlobClient,
): Promise<DeleteReport> {
  const errors: { path: string; error: unknown }[] = [];
  const blobs: { path: string; blob: Sdk.BlobClient }[] = [];
  for (const path of paths) {
    try {
      blobs.push({ path, blob: blobOf(path) });
    } catch (error) {
      errors.push({ path, error });
    }
  }
  let deleted = 0;
  const client = container.getBlobBatchClient();
  for (let start = 0; start < blobs.length; start += MAX_BATCH) {
    const batch = blobs.slice(start, start + MAX_BATCH);
    const results = await deleteBatch(client, batch);
    for (const [index, { path }] of batch.entries()) {
      const error = results[index];
      if (error === undefined) deleted += 1;
      else if (!isAbsent(error)) errors.push({ path, error: translate(error) });
    }
  }
  return { deleted, errors };
}

/** @returns For each what went wrong, undefined for what was deleted; one failure of the whole is one of each of them. */
async function deleteBatch(
  client: Sdk.BlobBatchClient,
  batch: readonly { readonly blob: Sdk.BlobClient }[],
): Promise<readonly unknown[]> {
  try {
    const { subResponses } = await client.deleteBlobs(batch.map(({ blob }) => blob));
    return batch.map((_, index) => {
      const { status: statusCode = 0, errorCode: code = "", statusMessage: message = "" } = subResponses[index] ?? {};
      return statusCode >= 200 && statusCode < 300 ? undefined : { statusCode, code, message };
    });
  } catch (error) {
    return batch.map(() => error);
  }
}
