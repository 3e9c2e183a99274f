/** Many deletes in one request: https://learn.microsoft.com/rest/api/storageservices/blob-batch */

import type * as Sdk from "@azure/storage-blob";
import type { DeleteReport } from "../../backend.ts";
import { attempt, isAbsent, translate } from "./translate.ts";

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
    const { subResponses } = await attempt(() => client.deleteBlobs(batch.map(({ blob }) => blob)));
    for (const [index, { path }] of batch.entries()) {
      const { status: statusCode = 0, errorCode: code = "", statusMessage: message = "" } = subResponses[index] ?? {};
      const error = { statusCode, code, message };
      if (statusCode < 300) deleted += 1;
      else if (!isAbsent(error)) errors.push({ path, error: translate(error) });
    }
  }
  return { deleted, errors };
}
