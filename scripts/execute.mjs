/** Running programs with this workspace's own tools first on the PATH. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";

export const root = new URL("../", import.meta.url);
const bin = fileURLToPath(new URL("node_modules/.bin", root));

/** The version of a tool that package.json pins. */
export function version(tool) {
  return JSON.parse(readFileSync(new URL("package.json", root), "utf8")).devDependencies[tool];
}

/** The environment of every program that is started: Node 24 and the workspace's tools come before the machine's. */
export function environment(extra = {}) {
  const path = [bin, process.env.PATH].join(delimiter);
  return { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: "1", ...extra };
}

/**
 * Runs a program to its end, in the root folder.
 * @param options quiet: its output is shown only when it fails; env: beside the usual environment.
 * @throws when it fails, with the command that did.
 */
export function execute(program, args, { quiet = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      env: environment(env),
      stdio: quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
      shell: process.platform === "win32",
    });
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) return resolve();
      process.stderr.write(output);
      reject(new Error(`failed with exit code ${code}: ${program} ${args.join(" ")}`));
    });
  });
}

/** Runs a script's body; a failure is told in one line, as what failed has printed its own words. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
