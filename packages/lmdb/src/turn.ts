/** One process at a time through a short piece of work, by a file that names whose turn it is. */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { configError } from "@mikcar/core";

const WAIT_MS = 10;
const PATIENCE_MS = 10_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Runs `work` while no other process is in its own turn at `path`. It blocks, so it is for the start of a program only.
 * The turn of a process that has ended is taken over. @throws CONFIG_ERROR after 10 s.
 */
export function inTurn<T>(path: string, work: () => T): T {
  const patience = performance.now() + PATIENCE_MS;
  while (!begin(path)) {
    if (performance.now() > patience) {
      throw configError(`another process has been opening for 10 s; if none is, remove "${path}"`);
    }
    Atomics.wait(cell, 0, 0, WAIT_MS);
  }
  try {
    return work();
  } finally {
    rmSync(path, { force: true });
  }
}

function begin(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (hasEnded(path)) rmSync(path, { force: true });
  return false;
}

function hasEnded(path: string): boolean {
  try {
    const owner = Number(readFileSync(path, "utf8"));
    if (owner > 0) process.kill(owner, 0); // 0: it has just begun, and not yet written its number
    return owner === process.pid; // a turn of ours never outlives the call: an earlier process had our number
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
