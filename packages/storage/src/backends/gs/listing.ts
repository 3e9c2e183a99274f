/** Pages of the seam over pages of Google. */

import type { ListQuery, Page } from "../../backend.ts";
import { listPage as pageOver } from "../cloud/listing.ts";
import type { GcsBucket } from "./bucket.ts";

/** @param base What all keys begin with: empty, or with a slash at its end. */
export function listPage(
  bucket: Pick<GcsBucket, "list">,
  base: string,
  query: ListQuery,
  signal?: AbortSignal,
): Promise<Page> {
  const lister = {
    list: (request: Parameters<GcsBucket["list"]>[0]) => bucket.list(request, signal),
    after: (key: string) => `${key} `, // no path has a character below the space
    behind: (folder: string) => `${folder.slice(0, -1)}0`, // the character after the slash
    isByFolder: false,
  };
  return pageOver(lister, base, query, signal);
}
