import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * A folder in the user's cache that is filled once and kept for the next run, whole or not at all. Several processes may be
 * at it: the first to finish wins.
 * @param name With what makes it another one: a version. @param fill Gets the path of an empty folder.
 */
export async function keptFolder(name: string, fill: (path: string) => Promise<unknown>): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "mikcar-test");
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(`${folder}-`);
  try {
    await fill(draft);
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
