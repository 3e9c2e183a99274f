/** The options under which Node starts a child: it can read its own code, and neither write, spawn nor start threads. */

import { createRequire, findPackageJSON } from "node:module";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Where isolated-vm's loader looks for the kind of Linux it is on, and the child's silenced standard error. */
const SYSTEM_FILES = ["/etc/alpine-release", "/dev/null"];

/** @param module The child's program. */
export function childPermissions(module: URL): string[] {
  const require = createRequire(module);
  const manifest = findPackageJSON(module) as string; // it says that these are ES modules
  const own = codeFolder(dirname(manifest), fileURLToPath(module));
  const names = ["isolated-vm", "acorn"];
  const packages = names.map((name) => modulesFolder(realpathSync(require.resolve(name))));
  const searched = (require.resolve.paths("acorn") ?? []).filter((path) => existsSync(path));
  const places = [own, manifest, ...searched].flatMap((path) => [path, realpathSync(path)]);
  const readable = new Set([...places, ...packages, ...SYSTEM_FILES]);
  return [
    "--permission",
    "--allow-addons",
    "--disable-warning=PERM0001", // --allow-addons: isolated-vm is one, and a script cannot load any
    ...[...readable].map((path) => `--allow-fs-read=${path}`),
  ];
}

/** `src` or `dist` of the package. */
function codeFolder(root: string, file: string): string {
  const [folder = ""] = relative(root, file).split(sep);
  return join(root, folder);
}

/** The outermost `node_modules` of a path, since packages link to each other within it; else the file's folder. */
function modulesFolder(path: string): string {
  const marker = `${sep}node_modules${sep}`;
  const at = path.indexOf(marker);
  return at === -1 ? dirname(path) : path.slice(0, at + marker.length);
}
