/**
 * `node docker/image/assemble.mjs TARGET DIR`: the root file system of an image, in a folder, from a workspace that is built.
 * It holds Node, the C library, the packages of one program, and nothing else: no shell, no package manager.
 */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyProgram } from "./packages.mjs";

const workspace = fileURLToPath(new URL("../../", import.meta.url));

/** The user that programs run as, which owns the data and nothing else. */
const USER = 1000;

const [target = "", directory] = process.argv.slice(2);
const source = [join(workspace, "packages", target), join(workspace, "apps", target)].find((folder) =>
  existsSync(join(folder, "dist/bin.js")),
);
if (directory === undefined || target === "" || source === undefined) {
  console.error("usage: assemble.mjs TARGET DIR; TARGET is the folder of a program in packages or apps that is built");
  process.exit(1);
}

rmSync(directory, { recursive: true, force: true });
for (const folder of ["app", "data", "dev", "etc", "proc", "sys", "tmp", "usr/bin"])
  mkdirSync(join(directory, folder), { recursive: true });
chmodSync(join(directory, "tmp"), 0o1777);
if (process.getuid?.() === 0) chownSync(join(directory, "data"), USER, USER);

const node = join(directory, "usr/bin/node");
if (!strip(realpathSync(process.execPath), node)) copyFileSync(realpathSync(process.execPath), node);
chmodSync(node, 0o755);

copyProgram(source, join(directory, "app"));
copyFileSync(new URL("healthcheck.mjs", import.meta.url), join(directory, "app/healthcheck.mjs"));

const natives = readdirSync(join(directory, "app"), { recursive: true }).filter((name) => name.endsWith(".node"));
for (const file of [node, ...natives.map((name) => join(directory, "app", name))]) copyLibraries(file);

const users = `root:x:0:0:root:/:/sbin/nologin\nmikcar:x:${USER}:${USER}:mikcar:/data:/sbin/nologin\n`;
writeFileSync(join(directory, "etc/passwd"), users);
writeFileSync(join(directory, "etc/group"), `root:x:0:\nmikcar:x:${USER}:\n`);
writeFileSync(join(directory, "etc/nsswitch.conf"), "hosts: files dns\n"); // names of other containers, by both

/** Without symbols for debuggers, a seventh of it. @returns False where no `strip` (of binutils) is installed. */
function strip(program, copy) {
  try {
    execFileSync("strip", ["--strip-unneeded", "-o", copy, program]);
    return true;
  } catch (error) {
    if (error.code === "ENOENT") return false;
    throw error;
  }
}

/** The shared libraries that a program is loaded with, each at the path where its loader looks for it. */
function copyLibraries(file) {
  const listing = execFileSync("ldd", [file], { encoding: "utf8" });
  for (const [, path] of listing.matchAll(/(?:=> |^\s)(\/\S+) \(/gm)) {
    const copy = join(directory, path);
    if (existsSync(copy)) continue;
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(realpathSync(path), copy);
  }
}
