/** What stands at a path before LMDB may touch it. */

import { accessSync, closeSync, constants, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { configError } from "@mikcar/core";

const HEAD_BYTES = 64;
/** The magic number of a meta page, little-endian: https://github.com/LMDB/lmdb/blob/mdb.master/libraries/liblmdb/mdb.c */
const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);

/**
 * Makes the folder, and sees to it that the path is free, or holds an LMDB file that may be written.
 * @throws CONFIG_ERROR saying what is there and what to do; nothing is changed then.
 */
export function prepareFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return accessSync(dirname(path), constants.W_OK);
    if (!stats.isFile()) throw configError(`"${path}" is a folder; name a file in it`);
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === undefined || code === "CONFIG_ERROR") throw cause;
    throw configError(`"${path}" cannot be used (${code}); choose a folder that this user may write`, { cause });
  }
  const head = readHead(path);
  if (head.length > 0 && !head.includes(MAGIC)) {
    throw configError(
      `"${path}" is no LMDB file (a redb file, say, cannot be read); it was left as it is: move it away, or name another file`,
    );
  }
}

function readHead(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head));
  } finally {
    closeSync(file);
  }
}
