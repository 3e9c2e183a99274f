/** The packages that a program needs to run, copied out of the workspace as they were installed from the lock file, and tested. */

import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { basename, dirname, extname, join, relative, sep } from "node:path";

/** Where every package but the program's own lies, each with links to what it imports: no two versions can meet. */
const STORE = "node_modules/.store";

/** Of no use at run time: types, maps, pages, sources of what is compiled. A licence has none of these names. */
const UNUSED_EXTENSIONS = new Set([
  ".ts",
  ".mts",
  ".cts",
  ".map",
  ".md",
  ".markdown",
  ".c",
  ".cc",
  ".cpp",
  ".h",
  ".hpp",
  ".gyp",
  ".gypi",
  ".tgz",
  ".tsbuildinfo",
]);
const UNUSED_FOLDERS = new Set([".bin", ".github", "test", "tests", "__tests__", "docs", "example", "examples"]);
/** Folders that are large and that no `import` by Node reaches: builds for bundlers, and sources of native parts. */
const UNUSED_OF = {
  "isolated-vm": ["src", "vendor", "native-example"],
  lmdb: ["dependencies", "src", "dict", "bin"],
};
const FOR_BUNDLERS = /^@(?:aws-sdk|aws|smithy)\//;

/**
 * Copies a program into a folder, and all that it imports below it.
 * @param source Of the program's package, in the workspace. @returns The names of the packages that came along.
 */
export function copyProgram(source, target) {
  const copied = new Map();
  const place = (folder) => {
    const known = copied.get(folder);
    if (known !== undefined) return known;
    const manifest = readManifest(folder);
    const home =
      copied.size === 0
        ? target
        : join(target, STORE, `${manifest.name.replace("/", "+")}@${manifest.version}`, "node_modules", manifest.name);
    copied.set(folder, home);
    copyPackage(folder, home, manifest);
    const links = home === target ? join(target, "node_modules") : home.slice(0, -manifest.name.length - 1);
    for (const name of dependencies(manifest)) {
      const found = find(folder, name);
      if (found !== undefined) link(place(found), join(links, name));
    }
    return home;
  };
  place(realpathSync(source));
  return [...copied.keys()].map((folder) => readManifest(folder).name);
}

/** Backends of the cloud are optional in a package, and part of an image: nobody can install them there. Types are for editors. */
function dependencies({ dependencies = {}, optionalDependencies = {}, peerDependencies = {} }) {
  const all = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
  return all.filter((name) => !name.startsWith("@types/"));
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}

/** Where an import of this name leads from there, as Node looks it up; undefined when it is not installed. */
function find(folder, name) {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, "node_modules", name);
    if (basename(at) !== "node_modules" && existsSync(join(path, "package.json"))) return realpathSync(path);
    if (at === dirname(at)) return undefined;
  }
}

function link(home, path) {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(relative(dirname(path), home), path);
}

function copyPackage(folder, home, { name, files }) {
  mkdirSync(home, { recursive: true });
  const isOurs = name.startsWith("@mikcar/");
  const entries = isOurs ? ["package.json", "LICENSE", ...files] : [""];
  for (const entry of entries)
    cpSync(join(folder, entry), join(home, entry), {
      recursive: true,
      filter: (path) => isUsed(relative(folder, path), name),
    });
}

function isUsed(path, name) {
  const parts = path.split(sep);
  if (UNUSED_EXTENSIONS.has(extname(path)) || parts.some((part) => UNUSED_FOLDERS.has(part))) return false;
  if (UNUSED_OF[name]?.includes(parts[0]) || (FOR_BUNDLERS.test(name) && /^dist-(?:es|types)$/.test(parts[0])))
    return false;
  return isForThisMachine(path);
}

/** Native parts come for many systems: `prebuilds/linux-x64/isolated-vm.abi137.glibc.node`, `node.napi.musl.node`. */
function isForThisMachine(path) {
  const [, platform] = /(?:^|[\\/])prebuilds[\\/]([^\\/]+)/.exec(path) ?? [];
  if (platform !== undefined && platform !== `${process.platform}-${process.arch}`) return false;
  if (!path.endsWith(".node")) return true;
  const [, abi = process.versions.modules] = /\.abi(\d+)\./.exec(path) ?? [];
  return abi === process.versions.modules && !path.includes(".musl.");
}
