/** Servers that the Python package index has, in a folder of their own that is kept for the next run. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram } from "./find-program.ts";
import { keptFolder } from "./kept-folder.ts";

/**
 * The folder into which these packages are installed, each with its version; installs them when they are not there yet.
 * @param name Of the folder, with what makes it another one: a version.
 */
export async function pythonPackages(name: string, requirements: readonly string[]): Promise<string> {
  return keptFolder(name, async (path) => {
    const pip = await findProgram("pip3", "python3-pip", `install pip for Python 3; it gets ${requirements.join(" ")}`);
    const args = ["install", "--quiet", "--disable-pip-version-check", "--target", path, ...requirements];
    await promisify(execFile)(pip, args);
  });
}
