/**
 * A thread that ends the process when the sidecar is gone, or when the sidecar says so, even in the midst of a long step
 * of SQLite, which nothing else can interrupt: node:sqlite has no `sqlite3_interrupt`.
 * Messages are numbers of 4 bytes, little endian. 0 asks which run is at work, and is answered with its id (0: none);
 * another number ends the process if the run of that id is at work.
 */

import { readSync, writeSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { siblingModule } from "../../../channel.ts";

const WATCH_FD = 4;

/** More than it needs: a thread that runs out of memory ends without a word. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
const NOT_YET = -1;
const START_MS = 30_000;

/** The thread's view of the process. */
export interface Watch {
  /** Its one element is the id of the run at work, 0 for none. */
  readonly running: Int32Array;
  /** Returns when the thread is at work; without it, the process must not be. */
  wait(): void;
}

/** Starts the thread. */
export function startWatch(): Watch {
  const running = new Int32Array(new SharedArrayBuffer(4)).fill(NOT_YET);
  const thread = new Worker(siblingModule("watch", import.meta.url), { workerData: running, resourceLimits: LIMITS });
  thread.unref();
  return {
    running,
    wait: () => {
      if (Atomics.wait(running, 0, NOT_YET, START_MS) === "timed-out") die();
    },
  };
}

/** At once, without the ceremonies of an exit, which would wait for the thread. */
export function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

function watch(running: Int32Array): void {
  Atomics.store(running, 0, 0);
  Atomics.notify(running, 0);
  const message = Buffer.alloc(4);
  for (;;) {
    let size = 0;
    while (size < 4) {
      const got = readSync(WATCH_FD, message, size, 4 - size, null);
      if (got === 0) die();
      size += got;
    }
    const asked = message.readInt32LE();
    const id = Atomics.load(running, 0);
    if (asked !== 0 && asked === id) die();
    if (asked !== 0) continue;
    message.writeInt32LE(id);
    writeSync(WATCH_FD, message);
  }
}

if (!isMainThread) watch(workerData as Int32Array); // what startWatch passes
