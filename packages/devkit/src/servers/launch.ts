/** Servers of other people's making, as child processes of the tests. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface ServerProgram {
  /** For error messages: "Redis". */
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  /** Absent: that of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it prints when it takes connections. */
  readonly readyText: string;
  /** How it ends with the test process. */
  readonly exitSignal: NodeJS.Signals;
  /** Whom to run it as; absent: whoever runs this. */
  readonly user?: { readonly uid?: number; readonly gid?: number };
}

const running = new Map<ChildProcess, NodeJS.Signals>();
process.once("exit", () => {
  for (const [server, signal] of running) server.kill(signal);
});

/** Resolves when it takes connections. @throws with its own words when it does not come to that. */
export async function launch(program: ServerProgram): Promise<ChildProcess> {
  const { name, path, args, env, readyText, exitSignal, user } = program;
  const options = { ...user, ...(env === undefined ? {} : { env }) };
  const server = spawn(path, args, { ...options, stdio: ["ignore", "pipe", "pipe"], cwd: "/" });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`${name} ended with code ${code}: ${output}`)));
    for (const stream of [server.stdout, server.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        if (output.length < 100_000) output += chunk;
        if (output.includes(readyText)) resolve();
      });
    }
  });
  running.set(server, exitSignal);
  server.once("exit", () => running.delete(server));
  return server;
}

/** Sends the signal, and resolves when the process has ended; at once when it has already. */
export async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill(signal);
  await once(server, "exit");
}
