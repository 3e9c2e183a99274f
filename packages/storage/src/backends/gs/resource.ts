/** An object as the JSON API tells of it: https://cloud.google.com/storage/docs/json_api/v1/objects#resource */

import type { IncomingHttpHeaders } from "node:http";
import type { ObjectInfo } from "../../backend.ts";
import { cacheControlOf, metadataOf, metadataOfHeaders } from "./headers.ts";

export type Found = Omit<ObjectInfo, "path">;

/** Numbers are text. What is not there is absent, or was not asked for. */
export interface Resource {
  readonly name?: string;
  readonly size?: string;
  readonly generation?: string;
  readonly updated?: string;
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

const NO_TYPE = "application/octet-stream";

export function writtenOf({ size = "0", generation = "" }: Resource): { readonly size: number; readonly eTag: string } {
  return { size: Number(size), eTag: generation };
}

export function foundOf({ updated, contentType = "", cacheControl, metadata = {}, ...resource }: Resource): Found {
  return {
    ...writtenOf(resource),
    lastModified: inSeconds(updated),
    contentType: contentType || NO_TYPE,
    ...cacheControlOf(cacheControl),
    metadata: metadataOf(metadata),
  };
}

/** Of an answer with bytes. @param size Of the whole object. */
export function foundOfHeaders(headers: IncomingHttpHeaders, size: number): Found {
  return {
    size,
    eTag: String(headers["x-goog-generation"] ?? ""),
    lastModified: inSeconds(headers["last-modified"]),
    contentType: headers["content-type"] ?? NO_TYPE,
    ...cacheControlOf(headers["cache-control"], true),
    metadata: metadataOfHeaders(headers),
  };
}

/** Listings tell fractions of a second, which headers cannot. */
export function inSeconds(time = "1970-01-01T00:00:00Z"): Date {
  return new Date(Math.floor(Date.parse(time) / 1000) * 1000);
}
