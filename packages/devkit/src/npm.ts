/** Servers that npm has, in a folder of their own that is kept for the next run: too many packages for this workspace. */

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { keptFolder } from "./kept-folder.ts";

/** The folder with the `node_modules` that has this package; installs it when it is not there yet. */
export async function npmPackage(name: string, version: string): Promise<string> {
  return keptFolder(`${name}-${version}`, async (path) => {
    writeFileSync(join(path, "package.json"), '{"private":true}');
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", `${name}@${version}`];
    await promisify(execFile)("npm", args, { cwd: path, env: { ...process.env, NODE_OPTIONS: "" } });
  });
}
