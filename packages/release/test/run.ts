/** Other programs, run to their end. */

import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { root } from "./workspace.ts";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program, with this workspace's own Node and tools first on its PATH. Rejects only when it cannot be run. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: object } = {},
): Promise<Ran> {
  const path = [join(root, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
  const env = { ...process.env, NODE_OPTIONS: "", ...options.env, PATH: path };
  return new Promise((resolve, reject) => {
    const settings = { cwd: options.cwd ?? root, env, maxBuffer: 2 ** 26 };
    const child = execFile(program, args, settings, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === "string") return reject(error); // ENOENT and the like
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

/** As `run`. @returns What it has printed. @throws when it fails, with all that it has said. */
export async function succeed(...call: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...call);
  if (code === 0) return stdout;
  throw new Error(`${call[0]} ${call[1].join(" ")} ended with ${code}:\n${stdout}${stderr}`);
}
