/** Pages of the seam over pages of a store that lists in byte order. */

import { compareUtf8, MikcarError } from "@mikcar/core";
import type { ListedObject, ListQuery, Page } from "../../backend.ts";
import type { Place } from "./place.ts";

/** An object as a store lists it. */
export type ListedKey = Omit<ListedObject, "path"> & { readonly key: string };

export interface ListRequest {
  readonly prefix: string;
  /** As `after` or `behind` of the store made it; empty: from the beginning. */
  readonly start: string;
  /** `next` of the answer before. */
  readonly token: string | undefined;
  readonly delimiter: "/" | undefined;
  /** 1 to 1000. */
  readonly limit: number;
}

export interface Listed {
  readonly objects: readonly ListedKey[];
  readonly prefixes: readonly string[];
  /** Undefined: this was all. */
  readonly next: string | undefined;
}

/** How a store is asked. Of both starts no key that is wanted comes before. */
export interface Lister {
  list(request: ListRequest): Promise<Listed>;
  /** Where keys after this one begin. */
  after(key: string): string;
  /** Where keys begin that come after all that is in this folder, on the level that the folder is on. */
  behind(folder: string): string;
  /**
   * To be listed folder by folder, as a listing that begins inside of one may end too early. What `behind` gives is a key
   * that is left out, and is then asked for by itself.
   */
  readonly isByFolder: boolean;
}

const LAST = "\u{10ffff}";

const PAGE = 1000; // the most there is
const MAX_KEY_BYTES = 1024;
/** Some servers refuse such characters and segments, which no path has. Behind them: what comes just before them. */
const BAD_CHARACTER = /[\u0000-\u001f\u007f-\u009f\\]/; // oxlint-disable-line no-control-regex
const BEFORE_SEGMENT: Readonly<Record<string, string>> = { "": `.${LAST}`, ".": `-${LAST}`, "..": `.-${LAST}` };
const NOTHING: Page = { objects: [], prefixes: [], next: undefined };

interface Entry {
  readonly path: string;
  /** Undefined: a folder. */
  readonly object: ListedObject | undefined;
}

/** One listing of the store, which may have many pages. */
interface Step {
  readonly prefix: string;
  readonly start: string;
  /** A key that comes first, and that the listing leaves out. */
  readonly missed?: string;
}

interface Part {
  readonly entries: readonly Entry[];
  readonly isMore: boolean;
}

/** @param signal Stops it between two pages. */
export async function listPage(store: Lister, place: Place, query: ListQuery, signal?: AbortSignal): Promise<Page> {
  const { limit } = query;
  const found = new Map<string, Entry>();
  const room = (): number => Math.max(1, limit - found.size);
  for await (const { entries, isMore } of parts(store, place, query, room, signal)) {
    for (const entry of entries) found.set(entry.path, entry);
    if (found.size > limit || (found.size === limit && isMore)) return pageOf(found, limit);
  }
  return { ...pageOf(found, limit), next: undefined };
}

function pageOf(found: ReadonlyMap<string, Entry>, limit: number): Page {
  const entries = [...found.values()].sort((a, b) => compareUtf8(a.path, b.path)).slice(0, limit);
  if (entries.length === 0) return NOTHING;
  return {
    objects: entries.flatMap(({ object }) => object ?? []),
    prefixes: entries.flatMap(({ path, object }) => (object === undefined ? [path] : [])),
    next: entries.at(-1)?.path,
  };
}

/** All there is, as it comes. @param room How many entries are still wanted. */
async function* parts(
  store: Lister,
  place: Place,
  query: ListQuery,
  room: () => number,
  signal?: AbortSignal,
): AsyncGenerator<Part> {
  const { delimiter } = query;
  const prefix = place.base + (query.prefix === "" ? "" : `${query.prefix}/`);
  const after = query.after === undefined || query.after === "" ? "" : place.base + query.after.toWellFormed();
  if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) return;
  const isInside = after !== "" && after.startsWith(prefix);
  if (!isInside && compareUtf8(after, prefix) > 0) return; // all keys come before it
  if (delimiter !== undefined && after.endsWith("/") && prefix.startsWith(after)) return; // so does all in that folder

  const folder = isInside && delimiter !== undefined ? folderOf(prefix, after) : undefined;
  if (folder !== undefined && folder !== after) {
    const path = place.pathOf(folder.slice(0, -1));
    if (path !== undefined && (await hasEntry(parts(store, place, { ...query, prefix: path }, () => 1, signal))))
      yield { entries: [{ path: `${path}/`, object: undefined }], isMore: false };
  }

  const pathOf = (name: string, key: string): string | undefined =>
    compareUtf8(name, after) > 0 ? place.pathOf(key) : undefined;
  const objectsOf = (listed: readonly ListedKey[]): Entry[] =>
    listed.flatMap(({ key, ...object }) => {
      const path = pathOf(key, key);
      return path === undefined ? [] : [{ path, object: { path, ...object } }];
    });
  const foldersOf = (names: readonly string[]): Entry[] =>
    names.flatMap((name) => {
      const path = pathOf(name, name.slice(0, -1));
      return path === undefined ? [] : [{ path: `${path}/`, object: undefined }];
    });
  for (const { missed, ...step } of stepsOf(store, prefix, isInside ? after : "", folder)) {
    if (missed !== undefined) {
      const first = { prefix: missed, start: "", token: undefined, delimiter: undefined, limit: 1 };
      const { objects } = await store.list(first);
      yield { entries: objectsOf(objects.filter(({ key }) => key === missed)), isMore: false };
    }
    const tokens = new Set<string>();
    let token: string | undefined;
    do {
      signal?.throwIfAborted();
      const listed: Listed = await store.list({ ...step, token, delimiter, limit: Math.min(PAGE, room()) });
      token = listed.next;
      if (token !== undefined && !isNew(tokens, token)) throw circular();
      yield { entries: [...objectsOf(listed.objects), ...foldersOf(listed.prefixes)], isMore: token !== undefined };
    } while (token !== undefined);
  }
}

/** @param after Inside of `prefix`, or empty. @param folder What is in it is not asked for. */
function stepsOf(store: Lister, prefix: string, after: string, folder: string | undefined): Step[] {
  if (after === "") return [{ prefix, start: "" }];
  if (folder !== undefined) return [stepBehind(store, prefix, folder)];
  const text = sendable(after);
  const start = text === after ? clip(store.after(text)) : text;
  if (!store.isByFolder) return [{ prefix, start }];
  let level = text.slice(0, Math.max(prefix.length, text.lastIndexOf("/") + 1));
  const steps: Step[] = [{ prefix: level, start }];
  while (level.length > prefix.length) {
    const above = level.slice(0, Math.max(prefix.length, level.lastIndexOf("/", level.length - 2) + 1));
    steps.push(stepBehind(store, above, level));
    level = above;
  }
  return steps;
}

function stepBehind(store: Lister, prefix: string, folder: string): Step {
  const text = sendable(folder);
  if (text !== folder) return { prefix, start: text };
  const start = clip(store.behind(folder));
  return store.isByFolder ? { prefix, start, missed: start } : { prefix, start };
}

/** That of the level below `prefix` which `after` lies in, or is. */
function folderOf(prefix: string, after: string): string | undefined {
  const slash = after.indexOf("/", prefix.length);
  return slash === -1 ? undefined : after.slice(0, slash + 1);
}

async function hasEntry(all: AsyncIterable<Part>): Promise<boolean> {
  for await (const { entries } of all) if (entries.length > 0) return true;
  return false;
}

/** What to begin after instead, where `after` cannot travel. */
function sendable(after: string): string {
  const segments = withoutBadCharacter(after).split("/");
  const last = segments.length - 1;
  const bad = segments.findIndex((each, at) => Object.hasOwn(BEFORE_SEGMENT, each) && (each !== "" || at < last));
  const start = bad === -1 ? segments : [...segments.slice(0, bad), BEFORE_SEGMENT[segments[bad] as string]];
  return clip(start.join("/"));
}

function withoutBadCharacter(text: string): string {
  const bad = BAD_CHARACTER.exec(text);
  if (bad === null) return text;
  const before = text.slice(0, bad.index);
  if (bad[0] === "\\") return `${before}[${LAST}`;
  return bad[0] < " " ? before : `${before}~${LAST}`;
}

function clip(text: string): string {
  if (Buffer.byteLength(text) <= MAX_KEY_BYTES) return text;
  return Buffer.from(text)
    .subarray(0, MAX_KEY_BYTES)
    .toString()
    .replace(/\ufffd+$/, ""); // half a character
}

/** Remembers it. */
export function isNew(tokens: Set<string>, token: string): boolean {
  return tokens.size < tokens.add(token).size;
}

/** Of a store that gives a token for the next page that it has given before. */
export function circular(): Error {
  return new MikcarError("BAD_GATEWAY", "a listing goes round in circles: look whether this is the store");
}

/** @throws why it was given up, when it was: client libraries tell of that in their own ways. */
export async function heeding<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
