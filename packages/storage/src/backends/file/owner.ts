/** One process at a time: the folder names its owner, and an owner that has ended is replaced. */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { configError, processName } from "@mikcar/core";
import { systemCode } from "./errors.ts";

/** @throws CONFIG_ERROR when another process that lives owns the folder. @returns What gives it up. */
export function takeOwnership(path: string, root: string): () => void {
  const mine = processName(process.pid);
  for (;;) {
    try {
      writeFileSync(path, mine, { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
    const owner = readFileSync(path, { encoding: "utf8", flag: "r" });
    const pid = Number.parseInt(owner, 10);
    if (pid !== process.pid && owner === processName(pid)) {
      throw configError(`the folder ${root} is in use by process ${pid}; stop it, or choose another folder`);
    }
    rmSync(path, { force: true }); // its process has ended, or this one opens the folder anew
  }
}
