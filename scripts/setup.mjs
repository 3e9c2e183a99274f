/**
 * Installs what is missing: pnpm, Node 24 and every dependency, from the lock file. Runs under Node 20 or newer, and
 * takes a moment when nothing has changed since the last time.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { execute, main, root, version } from "./execute.mjs";

const STAMP = new URL("node_modules/.mikcar-setup", root);
const INPUTS = ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"];

/** Brings node_modules to what the lock file says. */
export async function setup() {
  const { engines } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
  const oldest = engines.node.replace(">=", "");
  const [major] = process.versions.node.split(".").map(Number);
  if (major < oldest)
    throw new Error(`Node ${process.versions.node} is too old; ${oldest} or newer is needed to begin`);
  const wanted = fingerprint();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  console.log("Installing dependencies (about 15 seconds the first time) …");
  await execute("npx", ["--yes", `pnpm@${version("pnpm")}`, "install", "--frozen-lockfile"], { quiet: true });
  writeFileSync(STAMP, wanted);
}

function fingerprint() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const name of INPUTS) hash.update(readFileSync(new URL(name, root)));
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(setup);
