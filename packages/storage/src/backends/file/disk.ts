/** The file system calls of this backend as promises. The plain calls cost half the processor time of `FileHandle`. */

import fs, { constants } from "node:fs";
import { promisify } from "node:util";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

export const READ_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK; // nobody shall wait at a pipe put into the folder
export const READ_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
export const NEW_FILE = O_WRONLY | O_CREAT | O_EXCL;

export const openFd: (path: string, flags: number) => Promise<number> = promisify(fs.open);
export const fsync: (fd: number) => Promise<void> = promisify(fs.fsync);
export const link: (from: string, to: string) => Promise<void> = promisify(fs.link);
export const lstat: (path: string) => Promise<fs.Stats> = promisify(fs.lstat);
export const mkdir: (path: string) => Promise<void> = promisify(fs.mkdir);
export const rename: (from: string, to: string) => Promise<void> = promisify(fs.rename);
export const rmdir: (path: string) => Promise<void> = promisify(fs.rmdir);
export const unlink: (path: string) => Promise<void> = promisify(fs.unlink);

/** Fills `buffer`. @returns the number of bytes read: fewer only at the end of the file. */
export async function readInto(fd: number, buffer: Buffer, position: number): Promise<number> {
  let filled = await read(fd, buffer, 0, position);
  while (filled < buffer.length) {
    const more = await read(fd, buffer, filled, position + filled);
    if (more === 0) break;
    filled += more;
  }
  return filled;
}

function read(fd: number, buffer: Buffer, filled: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, filled, buffer.length - filled, position, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** Appends all of `bytes`. */
export async function writeAll(fd: number, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await write(fd, bytes, written); // a disk nearly full takes a part
}

function write(fd: number, bytes: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, from, bytes.length - from, null, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

const HAS_PROC = fs.existsSync("/proc/self/fd");

/**
 * A name that leads to an open folder or file itself, whatever happens to its path meanwhile: Linux has one
 * (https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html). Elsewhere it is the path.
 */
export function nameOf(fd: number, path: string): string {
  return HAS_PROC ? `/proc/self/fd/${fd}` : path;
}

/** Whether what was opened as `path` lies there without a symbolic link on the way. */
export function isReallyAt(fd: number, path: string): boolean {
  if (!HAS_PROC) return fs.realpathSync.native(path) === path;
  const real = fs.readlinkSync(`/proc/self/fd/${fd}`);
  return real === path || real === `${path} (deleted)`; // replaced since it was opened
}
