/** How much memory another process holds, cheaply enough to ask every few milliseconds. */

import { closeSync, openSync, readSync } from "node:fs";

const STATM_BYTES = 128;
const buffer = Buffer.alloc(STATM_BYTES);
let pageBytes: number | undefined;

/** Linux only: elsewhere, and when the process is gone, nothing is known. */
export class ResidentMemory {
  #file: number | undefined;

  constructor(pid: number | undefined) {
    if (process.platform !== "linux" || pid === undefined) return;
    try {
      this.#file = openSync(`/proc/${pid}/statm`, "r"); // kept open: a read is a tenth of the price of an open
    } catch {
      this.#file = undefined; // it has gone already
    }
  }

  /** Bytes, or undefined when it is not known. */
  read(): number | undefined {
    if (this.#file === undefined) return undefined;
    try {
      pageBytes ??= pageSize();
      return residentPages(this.#file) * pageBytes;
    } catch {
      return undefined; // ESRCH: it is ending
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function residentPages(file: number): number {
  const size = readSync(file, buffer, 0, STATM_BYTES, 0);
  return Number(buffer.toString("latin1", 0, size).split(" ", 2)[1]);
}

/** Node does not tell it; what it tells of this process, divided by the pages the kernel counts, does. */
function pageSize(): number {
  const file = openSync("/proc/self/statm", "r");
  try {
    return 2 ** Math.round(Math.log2(process.memoryUsage.rss() / residentPages(file)));
  } finally {
    closeSync(file);
  }
}
