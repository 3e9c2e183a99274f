/** Pages of the seam over pages of Google. */

import type { ListQuery, Page } from "../../backend.ts";
import { listPage as pageOver } from "../cloud/listing.ts";
import type { Place } from "../cloud/place.ts";
import type { GcsBucket } from "./bucket.ts";

export function listPage(
  bucket: Pick<GcsBucket, "list">,
  place: Place,
  query: ListQuery,
  signal?: AbortSignal,
): Promise<Page> {
  const lister = {
    list: (request: Parameters<GcsBucket["list"]>[0]) => bucket.list(request, signal),
    after: (key: string) => `${key} `, // no path has a character below the space
    behind: (folder: string) => `${folder.slice(0, -1)}0`, // the character after the slash
    isByFolder: false,
  };
  return pageOver(lister, place, query, signal);
}
