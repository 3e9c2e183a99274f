/** Pages of the seam over pages of the protocol. */

import type { ListQuery, Page } from "../../backend.ts";
import { listPage as pageOver } from "../cloud/listing.ts";
import type { Place } from "../cloud/place.ts";
import type { Bucket } from "./bucket.ts";

const LAST = "\u{10ffff}";

export function listPage(bucket: Bucket, place: Place, query: ListQuery, signal?: AbortSignal): Promise<Page> {
  const isByFolder = !bucket.beginsAnywhere;
  const lister = {
    list: (request: Parameters<Bucket["list"]>[0]) => bucket.list(request, signal),
    after: (key: string) => key,
    // `0` is the character after the slash.
    behind: (folder: string) => (isByFolder ? `${folder.slice(0, -1)}0` : folder + LAST),
    isByFolder,
  };
  return pageOver(lister, place, query, signal);
}
