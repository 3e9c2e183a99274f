/** Opens the folders that objects are written into, and never one that a symbolic link leads to. */

import { closeSync, existsSync } from "node:fs";
import { conflict } from "@mikcar/core";
import { fsync, isReallyAt, lstat, mkdir, nameOf, openFd, READ_FOLDER, rename, rmdir, unlink } from "./disk.ts";
import { systemCode } from "./errors.ts";
import { ASIDE } from "./names.ts";

const MAX_TRIES = 20;

/** An open folder. What is done `at` a name in it stays in it, even when the path is bent meanwhile. */
interface Folder {
  readonly fd: number;
  at(name: string): string;
  /** Resolves when the names in it are on disk. Calls that come together share one sync. */
  sync(): Promise<void>;
}

interface Shared {
  readonly folder: Promise<Folder>;
  users: number;
}

export class Folders {
  readonly #root: string;
  readonly #open = new Map<string, Shared>();

  /** @param root A real path. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Moves `file` to its place, then runs `commit` beside the sync. An object that is in the way of a folder steps aside.
   * @param isReplacing There may be an older version. @throws CONFLICT when a symbolic link is in the way.
   */
  async place(
    file: string,
    names: readonly string[],
    isReplacing: boolean,
    commit: () => Promise<void>,
  ): Promise<void> {
    const name = last(names);
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#use(names.slice(0, -1), true, async (folder) => {
          const isAside = await rename(file, folder.at(name)).then(() => false, unlessFolder);
          if (isAside) await rename(file, folder.at(name + ASIDE));
          else if (isReplacing && existsSync(folder.at(name + ASIDE))) await unlink(folder.at(name + ASIDE));
          await both(folder.sync(), commit());
        });
      } catch (error) {
        if (systemCode(error) !== "ENOENT" || tries === MAX_TRIES) throw error;
        // the folder had become empty and was removed under our hands
      }
    }
  }

  /** Removes a file, and the folders that become empty with it. It is no error when there is none. */
  async remove(names: readonly string[]): Promise<void> {
    const name = last(names);
    await this.#use(names.slice(0, -1), false, async (folder) => {
      // In this order, as an object steps aside in this direction and never back.
      await unlink(folder.at(name)).catch(unlessNoFile);
      await unlink(folder.at(name + ASIDE)).catch(unlessAbsent);
      await folder.sync();
    }).catch(unlessAbsent);
    for (let depth = names.length - 1; depth > 0; depth -= 1) {
      if (!(await this.#removeEmpty(names.slice(0, depth)))) return;
    }
  }

  async #removeEmpty(names: readonly string[]): Promise<boolean> {
    try {
      await this.#use(names.slice(0, -1), false, (parent) => rmdir(parent.at(last(names))));
      return true;
    } catch (error) {
      if (["ENOTEMPTY", "EEXIST", "ENOENT", "ENOTDIR", "EBUSY", "CONFLICT"].includes(systemCode(error) ?? ""))
        return false;
      throw error;
    }
  }

  /** @throws ENOENT when the folder is not there, or goes away. */
  async #use<T>(names: readonly string[], isMaking: boolean, work: (folder: Folder) => Promise<T>): Promise<T> {
    const path = [this.#root, ...names].join("/");
    const key = isMaking ? path : `${path}/`;
    const shared = this.#open.get(key) ?? { folder: this.#openFolder(path, names, isMaking), users: 0 };
    this.#open.set(key, shared);
    shared.users += 1;
    try {
      const folder = await shared.folder;
      if (!isReallyAt(folder.fd, path)) throw linkInTheWay();
      return await work(folder);
    } catch (error) {
      if (this.#open.get(key) === shared) this.#open.delete(key); // it may be gone: the next one opens it anew
      throw error;
    } finally {
      shared.users -= 1;
      if (shared.users === 0) {
        if (this.#open.get(key) === shared) this.#open.delete(key);
        shared.folder.then(({ fd }) => closeSync(fd)).catch(() => undefined); // never opened: its users know why
      }
    }
  }

  async #openFolder(path: string, names: readonly string[], isMaking: boolean): Promise<Folder> {
    try {
      return openedFolder(await openFd(path, READ_FOLDER), path);
    } catch (error) {
      const isMissing = ["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCode(error) ?? "");
      if (!isMaking || !isMissing || names.length === 0) throw error;
    }
    await this.#use(names.slice(0, -1), true, (parent) => makeFolder(parent, last(names)));
    return openedFolder(await openFd(path, READ_FOLDER), path);
  }
}

function openedFolder(fd: number, path: string): Folder {
  return { fd, at: (name) => `${nameOf(fd, path)}/${name}`, sync: coalesce(() => fsync(fd)) };
}

async function makeFolder(parent: Folder, name: string): Promise<void> {
  try {
    await mkdir(parent.at(name));
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    const present = await lstat(parent.at(name));
    if (present.isFile()) {
      await rename(parent.at(name), parent.at(name + ASIDE)).catch(unlessAbsent);
      return makeFolder(parent, name);
    }
    if (!present.isDirectory()) throw linkInTheWay();
  }
  await parent.sync();
}

/** Shares one run of `work` among all who ask while the run before is under way. */
function coalesce(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    const run = work().finally(() => {
      if (running === run) running = undefined;
    });
    running = run;
    return run;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running.then(start, start);
    return next;
  };
}

/** Both to their end, then the first failure: nothing may still work on what the caller closes. */
export async function both(a: Promise<unknown>, b: Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled([a, b]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function linkInTheWay(): Error {
  return conflict("in the storage folder a symbolic link or special file is in the way of this path");
}

function unlessAbsent(error: unknown): void {
  if (systemCode(error) !== "ENOENT") throw error;
}

/** macOS says EPERM of a folder. */
function unlessNoFile(error: unknown): void {
  if (!["ENOENT", "EISDIR", "EPERM"].includes(systemCode(error) ?? "")) throw error;
}

function unlessFolder(error: unknown): true {
  if (["EISDIR", "ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "")) return true;
  throw error;
}

function last(names: readonly string[]): string {
  return names.at(-1) as string; // a path has at least one segment
}
