/** One process of this machine at a time, by a file that names it; that of a process that has ended is taken over. */

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { processName, unavailable } from "@mikcar/core";

const RETRY_MS = 5;
const PATIENCE_MS = 10_000;
let count = 0;

/** Runs `work` while no other process, and no other call, holds the lock at `path`. @throws UNAVAILABLE after 10 s of waiting. */
export async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const patience = performance.now() + PATIENCE_MS;
  while (!take(path)) {
    if (performance.now() > patience) throw unavailable(`another process holds "${path}"; end it, or remove the file`);
    await sleep(RETRY_MS);
  }
  try {
    return await work();
  } finally {
    if (ownerOf(path) === processName(process.pid)) rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  const draft = `${path}.${process.pid}.${count++}`;
  writeFileSync(draft, processName(process.pid), { mode: 0o600 });
  try {
    linkSync(draft, path); // with its content, or not at all
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    removeStale(path, draft);
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Moves the file aside and looks again, as its owner may have changed in between: then it is put back. */
function removeStale(path: string, aside: string): void {
  if (!isStale(path)) return;
  try {
    renameSync(path, aside);
    if (!isStale(aside)) linkSync(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EEXIST") throw error; // somebody else was quicker
  }
}

function isStale(path: string): boolean {
  const owner = ownerOf(path);
  return owner !== undefined && owner !== processName(Number.parseInt(owner, 10));
}

/** Undefined when nobody holds it. */
function ownerOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
