/** An object as the JSON API tells of it: https://cloud.google.com/storage/docs/json_api/v1/objects#resource */

import type { IncomingHttpHeaders } from "node:http";
import type { ObjectInfo, Written } from "../../backend.ts";
import { tagOf } from "../cloud/headers.ts";
import type { Listed } from "../cloud/listing.ts";
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

interface ListAnswer {
  readonly items?: readonly Resource[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

interface RewriteAnswer {
  readonly done?: boolean;
  readonly rewriteToken?: string;
  readonly resource?: Resource;
}

/** @throws for one without the generation that every object has. */
export function writtenOf({ size = "0", generation = "" }: Resource): Written {
  if (!/^\d+$/.test(size) || generation === "") throw new TypeError("no object");
  return { size: Number(size), eTag: generation };
}

/** Of a copy: what it has made, or the token to go on with. */
export function stepOf({ done, rewriteToken, resource = {} }: RewriteAnswer): Written | string {
  if (done === true) return writtenOf(resource);
  if (rewriteToken === undefined) throw new TypeError("a copy that neither ends nor goes on");
  return rewriteToken;
}

export function listedOf({ items = [], prefixes = [], nextPageToken }: ListAnswer): Listed {
  const objects = items.map(({ name = "", updated, ...resource }) => ({
    key: name,
    lastModified: inSeconds(updated),
    ...writtenOf(resource),
  }));
  return { objects, prefixes: [...prefixes], next: nextPageToken === "" ? undefined : nextPageToken };
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
    eTag: tagOf(headers["x-goog-generation"]),
    lastModified: inSeconds(headers["last-modified"]),
    contentType: headers["content-type"] ?? NO_TYPE,
    ...cacheControlOf(headers["cache-control"], true),
    metadata: metadataOfHeaders(headers),
  };
}

/** Listings tell fractions of a second, which headers cannot. */
export function inSeconds(time = "1970-01-01T00:00:00Z"): Date {
  const seconds = Math.floor(Date.parse(time) / 1000);
  if (Number.isNaN(seconds)) throw new TypeError(`no time: ${time}`);
  return new Date(seconds * 1000);
}
