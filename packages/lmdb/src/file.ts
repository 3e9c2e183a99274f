/** What stands at a path before LMDB may touch it. */

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { configError } from "@mikcar/core";

/**
 * The first two pages are meta pages: magic number, version, and the size of a page, as the LMDB in lmdb-js lays them out.
 * https://github.com/kriszyp/lmdb-js/blob/master/dependencies/lmdb/libraries/liblmdb/mdb.c
 */
const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe, 2, 0, 0, 0]);
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;

/**
 * Makes the folder, and sees to it that the path is free, or holds an LMDB file that may be written.
 * @throws CONFIG_ERROR saying what is there and what to do; nothing is changed then.
 */
export function prepareFile(path: string): void {
  try {
    makeFolder(dirname(path));
    for (const name of [path, `${path}-lock`]) refuseUnusable(name);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === undefined || code === "CONFIG_ERROR") throw cause;
    throw configError(`"${path}" cannot be used (${code}); choose a folder that this user may write`, { cause });
  }
  if (!existsSync(path) || isEmptyOrLmdb(path)) return;
  throw configError(
    `"${path}" is no LMDB file (a redb file, say, cannot be read); it was left as it is: move it away, or name another file`,
  );
}

/** Node's own `recursive` never ends where the system refuses a folder with ENOENT, as it does in /proc. */
function makeFolder(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return;
  if (stats !== undefined) throw configError(`"${path}" is a file; choose a folder that this user may write`);
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // another process was faster
  }
}

function refuseUnusable(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return accessSync(dirname(path), constants.W_OK);
  if (!stats.isFile()) throw configError(`"${path}" is a folder; name a file in it`);
  accessSync(path, constants.R_OK | constants.W_OK);
}

/** LMDB itself ends the process on some files that are not its own, so this must be strict. */
function isEmptyOrLmdb(path: string): boolean {
  const file = openSync(path, "r");
  try {
    if (fstatSync(file).size === 0) return true;
    const pageSize = readAt(file, PAGE_SIZE_AT, 4).readUInt32LE();
    return [0, pageSize].every((page) => readAt(file, page + MAGIC_AT, MAGIC.length).equals(MAGIC));
  } finally {
    closeSync(file);
  }
}

/** Zeros stand for what lies behind the end. */
function readAt(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readSync(file, bytes, 0, length, position);
  return bytes;
}
