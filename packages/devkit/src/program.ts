/** Programs as a user starts them: a process of its own, its output, its end. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningProgram {
  /** Where it listens, as its log tells. */
  readonly url: string;
  readonly pid: number;
  /** All it has printed so far. */
  output(): string;
  /** Sends a signal (SIGTERM) and resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<Ending>;
}

export interface Launch {
  readonly args?: readonly string[];
  /** Beside PATH; nothing else of this process's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a JavaScript file to its end. */
export function runProgram(file: string, launch: Launch = {}): Promise<Ending> {
  return new Child(file, launch).ended;
}

/** Starts a JavaScript file that serves HTTP, and resolves when it says that it listens. @throws when it ends before. */
export async function startProgram(file: string, launch: Launch = {}): Promise<RunningProgram> {
  const child = new Child(file, launch);
  const url = await Promise.race([
    child.listens,
    child.ended.then((ending) => Promise.reject(new Error(`the program ended: ${JSON.stringify(ending)}`))),
  ]);
  return {
    url,
    pid: child.process.pid ?? 0,
    output: () => child.stdout + child.stderr,
    stop: (signal = "SIGTERM") => {
      child.process.kill(signal);
      return child.ended;
    },
  };
}

class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ending>;
  readonly listens: Promise<string>;
  stdout = "";
  stderr = "";

  constructor(file: string, { args = [], env = {}, cwd }: Launch) {
    this.process = spawn(process.execPath, [file, ...args], {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.ended = this.#end();
    this.listens = new Promise((resolve) => {
      this.process.stdout?.on("data", (chunk: Buffer) => {
        this.stdout += chunk;
        const line = /listening on (\S+?)"/.exec(this.stdout);
        if (line?.[1] !== undefined) resolve(line[1]);
      });
    });
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk;
    });
  }

  async #end(): Promise<Ending> {
    const [code, signal] = (await once(this.process, "close")) as [number | null, NodeJS.Signals | null];
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }
}
