/** What happens to a folder before it serves: it is tried, cleared of a crash's leftovers, and indexed if it is new. */

import { closeSync, existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { lstat as lstatAsync, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCode, unusable } from "./errors.ts";
import { type Identity, openFile } from "./files.ts";
import { Names, PRIVATE } from "./names.ts";
import { takeOwnership } from "./owner.ts";
import { foundRecord, type Index } from "./records.ts";

export interface Layout {
  /** The real path of the folder. */
  readonly root: string;
  readonly temporary: string;
  readonly index: string;
  readonly names: Names;
  /** Gives the folder up to the next process. */
  readonly release: () => void;
}

/** Makes the folders, and empties the one for temporary files. @throws CONFIG_ERROR naming the folder. */
export function prepare(path: string): Layout {
  try {
    makeFolder(path);
    const root = realpathSync.native(path);
    const own = join(root, PRIVATE);
    makeFolder(own);
    if (!lstatSync(own).isDirectory()) throw new Error(`${own} is a symbolic link`);
    const release = takeOwnership(join(own, "owner"), root);
    const temporary = join(own, "tmp");
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary);
    return { root, temporary, index: join(own, "index.lmdb"), names: new Names(isFolding(temporary)), release };
  } catch (error) {
    throw unusable(path, error);
  }
}

/** With those above it. Node's own recursion never ends where nothing can be made, as in `/proc`. */
function makeFolder(path: string): void {
  if (existsSync(path)) return void readdirSync(path); // throws for a file
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  mkdirSync(path);
}

/** Finishes or forgets what a crash left half done. */
export async function settle({ root, names }: Layout, index: Index): Promise<void> {
  for (const [path, record] of index.staged()) {
    const file = openFile([root, ...names.encode(path)].join("/"));
    if (file !== undefined) closeSync(file.fd);
    const hasHappened = record === null ? file === undefined : file !== undefined && isSame(record, file.identity);
    await (hasHappened ? index.finish(path, record) : index.drop(path));
  }
}

/** Gives every file of the folder a record, where an index is missing. Symbolic links are left alone. */
export async function indexAll(layout: Layout, index: Index): Promise<void> {
  if (index.isComplete) return;
  await indexFolder(layout, index, []);
  await index.complete();
}

export function isSame(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.mtimeMs === b.mtimeMs && a.size === b.size;
}

async function indexFolder(layout: Layout, index: Index, above: readonly string[]): Promise<void> {
  const entries = await readdir([layout.root, ...above].join("/"), { withFileTypes: true });
  const files: Promise<void>[] = [];
  for (const entry of entries) {
    const names = [...above, entry.name];
    if (entry.isDirectory() && !(above.length === 0 && entry.name === PRIVATE)) await indexFolder(layout, index, names);
    if (entry.isFile()) files.push(indexFile(layout, index, names));
  }
  await Promise.all(files);
}

async function indexFile({ root, names }: Layout, index: Index, found: readonly string[]): Promise<void> {
  const path = names.decode(found);
  if (path === undefined || index.get(path) !== undefined) return; // no path leads to it, or an earlier scan was cut off
  try {
    const { ino, mtimeMs, size } = await lstatAsync([root, ...found].join("/"));
    await index.finish(path, foundRecord(path, { ino, mtimeMs, size }));
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error; // removed meanwhile, or a name that is not UTF-8
  }
}

/** Tries the file system, as no mount tells: does it take other letters for the same name? */
function isFolding(folder: string): boolean {
  const name = "Probe-\u00c9"; // É in one piece
  writeFileSync(join(folder, name), "");
  const isFound = existsSync(join(folder, name.toLowerCase())) || existsSync(join(folder, name.normalize("NFD")));
  for (const entry of readdirSync(folder)) rmSync(join(folder, entry));
  return isFound;
}
