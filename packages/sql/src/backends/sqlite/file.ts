/** The database file: where it is, and whether it can be used. */

import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type ConfigUrl, configError, unavailable } from "@mikcar/core";

export interface DatabaseFile {
  /** Absolute. */
  readonly path: string;
  /** False: it is gone with the backend. */
  readonly isDurable: boolean;
  /** @throws UNAVAILABLE when the file was removed or replaced: what is written to the old one would be gone with it. */
  check(): void;
  /** Removes what is not to last. */
  remove(): void;
}

const MEMORY = ":memory:";
const SHARED_MEMORY = "/dev/shm";
const FOLDER = /^mikcar-sql-(\d+)-(\d+)-/;
const BUSY = 5;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;
const READ_ONLY = 8;

/**
 * Makes the folder where it is missing, and puts the file in WAL mode, so that reads and a write do not wait for each
 * other: https://www.sqlite.org/wal.html
 * @throws CONFIG_ERROR for a file that is no database or cannot be written; it is left as it was.
 */
export function openFile({ path: place, scheme }: ConfigUrl): DatabaseFile {
  if (place === "") throw configError(`${scheme}: the path of the file is missing; write sqlite:///path/db.sqlite`);
  const file = place === MEMORY ? memoryFile() : { path: resolve(place), isDurable: true, remove: () => undefined };
  try {
    mkdirSync(dirname(file.path), { recursive: true });
    useWal(file.path);
  } catch (cause) {
    const reason = explain(cause as Error & { errcode?: number; code?: string }); // of node:fs or node:sqlite
    if (reason !== undefined) {
      file.remove();
      throw configError(`${place} ${reason}`, { cause });
    }
  }
  const inode = inodeOf(file.path);
  const check = (): void => {
    if (inodeOf(file.path) === inode) return;
    throw unavailable("the database file was removed or replaced; start the sidecar anew to use what is there now");
  };
  return { ...file, check };
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function useWal(path: string): void {
  const db = new DatabaseSync(path, { timeout: 1000 });
  try {
    const mode = db.prepare("PRAGMA journal_mode").get()?.["journal_mode"];
    if (mode !== "wal") db.exec("PRAGMA journal_mode = WAL");
    db.exec("BEGIN IMMEDIATE; ROLLBACK"); // fails for a file that cannot be written
  } finally {
    db.close();
  }
}

/** Undefined: not now, but perhaps in a moment. */
function explain({ errcode, code, message }: Error & { errcode?: number; code?: string }): string | undefined {
  if (errcode === undefined) return `cannot be made: ${code ?? message}`;
  switch (errcode & 0xff) {
    case BUSY:
      return undefined;
    case CANNOT_OPEN:
      return "cannot be opened: it must be a file, in a folder that this process may write to";
    case NOT_A_DATABASE:
      return "is not a SQLite database; it was left as it is";
    case READ_ONLY:
      return "cannot be written to by this process";
    default:
      return `cannot be used: ${message}`;
  }
}

/**
 * Several connections can share a database only through a file; this one is in memory where the system has a folder
 * for that. Its name tells the process it belongs to, so that what a killed one has left can be removed.
 */
function memoryFile(): Omit<DatabaseFile, "check"> {
  const parent = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir();
  removeAbandoned(parent);
  const folder = mkdtempSync(join(parent, `mikcar-sql-${processSpace()}-${process.pid}-`)); // mode 0700
  return {
    path: join(folder, "memory.sqlite"),
    isDurable: false,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, space, pid] = FOLDER.exec(name) ?? [];
    if (space === undefined || space !== processSpace() || isAlive(Number(pid))) continue;
    try {
      rmSync(join(parent, basename(name)), { recursive: true, force: true });
    } catch {
      // of another user: not ours to remove
    }
  }
}

/** Process ids mean something only within their own name space, which containers that share the folder may not share. */
function processSpace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0"; // not Linux
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"; // process.kill throws these
  }
}
