/** Pages of a container, in byte order whatever the order is in which the server lists. */

import type * as Sdk from "@azure/storage-blob";
import { compareUtf8 } from "@mikcar/core";
import type { ListedObject, ListQuery, Page } from "../../backend.ts";
import type { Place } from "../cloud/place.ts";
import { bareTag } from "../cloud/headers.ts";
import { circular, isNew } from "../cloud/listing.ts";

const LARGEST_PAGE = 5000; // https://learn.microsoft.com/rest/api/storageservices/list-blobs
const SURROGATE = /[\ud800-\udfff]/;
const ABOVE_SURROGATES = /[\ud800-\uffff]/;

interface Entry {
  readonly path: string;
  /** Undefined: a folder. */
  readonly object: ListedObject | undefined;
}

/**
 * One page. Azure promises an alphabetical order; whether that of UTF-8, or of UTF-16 as its emulator's, it does not say.
 * They differ in where characters beyond U+FFFF stand against U+E000 to U+FFFF, so entries with such characters are held
 * back until nothing can come before them.
 */
export async function listPage(
  container: Sdk.ContainerClient,
  place: Place,
  query: ListQuery,
  signal?: AbortSignal,
): Promise<Page> {
  const { prefix, after = "", limit, delimiter } = query;
  const below = prefix === "" ? "" : `${prefix}/`;
  const isAfter = (path: string): boolean => compareUtf8(path, after) > 0 && !(delimiter && isIn(path, after));
  const found = new Map<string, Entry>();
  let isEnd = true;
  for await (const { entries, last } of segments(container, place, query, below, signal)) {
    for (const entry of entries) if (isAfter(entry.path)) found.set(entry.path, entry);
    if (found.size <= limit) continue;
    isEnd = false;
    if (
      ordered(found)
        .slice(0, limit + 1)
        .every(({ path }) => isSettled(path, last))
    )
      break;
    isEnd = true;
  }
  const folder = cutFolder(below, after, delimiter);
  if (folder !== undefined && !found.has(folder)) {
    const { objects, prefixes } = await listPage(
      container,
      place,
      { ...query, prefix: folder.slice(0, -1), limit: 1 },
      signal,
    );
    if (objects.length + prefixes.length > 0) {
      found.set(folder, { path: folder, object: undefined });
    }
  }
  const all = ordered(found);
  const page = all.slice(0, limit);
  return {
    objects: page.flatMap(({ object }) => object ?? []),
    prefixes: page.flatMap(({ path, object }) => (object === undefined ? [path] : [])),
    next: isEnd && all.length <= limit ? undefined : page.at(-1)?.path,
  };
}

interface Segment {
  readonly entries: readonly Entry[];
  /** The last path of it in the server's order, also when that is none of ours. */
  readonly last: string;
}

async function* segments(
  container: Sdk.ContainerClient,
  place: Place,
  { after = "", limit, delimiter }: ListQuery,
  below: string,
  abortSignal: AbortSignal | undefined,
): AsyncGenerator<Segment> {
  const prefix = place.base + below;
  const from = startOf(below, after, delimiter);
  const options = {
    ...(abortSignal === undefined ? {} : { abortSignal }),
    ...(prefix === "" ? {} : { prefix }),
    ...(from === "" ? {} : { startFrom: place.base + from }),
  };
  const settings = { maxPageSize: Math.min(limit + 2, LARGEST_PAGE) }; // `after` itself, and the one beyond the page
  const pages =
    delimiter === undefined
      ? container.listBlobsFlat(options).byPage(settings)
      : container.listBlobsByHierarchy(delimiter, options).byPage(settings);
  const tokens = new Set<string>();
  for await (const { segment, continuationToken = "" } of pages) {
    if (!isNew(tokens, continuationToken)) throw circular();
    const { blobPrefixes: folders = [] }: Partial<Sdk.BlobHierarchyListSegment> = segment;
    const names = [...segment.blobItems, ...folders].map(({ name }) => name.slice(place.base.length)).sort();
    const objects = segment.blobItems.flatMap((item) => objectEntry(place, item));
    yield {
      entries: [...objects, ...folders.flatMap(({ name }) => folderEntry(place, name))],
      last: names.at(-1) ?? "",
    };
  }
}

/**
 * Where the server shall start: not behind the first entry that is wanted. With a delimiter it takes names of the level
 * that is listed alone: https://learn.microsoft.com/rest/api/storageservices/list-blobs. A server that knows no
 * `startFrom` starts at the prefix, and the entries before are read for nothing.
 */
function startOf(below: string, after: string, delimiter: "/" | undefined): string {
  if (!after.startsWith(below)) return "";
  const slash = delimiter === undefined ? -1 : after.indexOf(delimiter, below.length);
  const level = slash === -1 ? after : `${after.slice(0, slash)}${slash === after.length - 1 ? "0" : ""}`; // `0` is the byte after `/`
  const unsure = level.search(ABOVE_SURROGATES);
  return unsure === -1 ? level : level.slice(0, unsure);
}

/** The folder of the listed level that `after` lies in: there may be more in it. */
function cutFolder(below: string, after: string, delimiter: "/" | undefined): string | undefined {
  if (delimiter === undefined || !after.startsWith(below)) return undefined;
  const slash = after.indexOf(delimiter, below.length);
  return slash === -1 || slash === after.length - 1 ? undefined : after.slice(0, slash + 1);
}

/** Whether `after` is a folder that `path` lies in. */
function isIn(path: string, after: string): boolean {
  return after.endsWith("/") && path.startsWith(after);
}

/** Whether nothing that the server lists after `last` comes before `path` in byte order. */
function isSettled(path: string, last: string): boolean {
  const at = path.search(SURROGATE);
  return at === -1 || !last.startsWith(path.slice(0, at));
}

function ordered(found: ReadonlyMap<string, Entry>): Entry[] {
  return [...found.values()].sort((a, b) => compareUtf8(a.path, b.path));
}

function objectEntry(place: Place, { name, properties }: Sdk.BlobItem): Entry[] {
  const path = place.pathOf(name);
  if (path === undefined) return [];
  const { contentLength: size = 0, lastModified, etag } = properties;
  return [{ path, object: { path, size, lastModified, eTag: bareTag(etag) } }];
}

function folderEntry(place: Place, name: string): Entry[] {
  const path = place.pathOf(name.slice(0, -1));
  return path === undefined ? [] : [{ path: `${path}/`, object: undefined }];
}
