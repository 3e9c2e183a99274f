/** A server under test: started as a user would, on the first core, and what it has cost so far. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface Cost {
  /** User and system time of the process, its threads and the processes it has started. */
  readonly cpuSeconds: number;
  /** Of the process alone. */
  readonly peakMemoryMib: number;
}

/** Ticks per second of /proc/PID/stat: proc(5). */
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Puts a command on one core where `taskset` and a second core exist, so that load and server do not share one. */
export function pinned(core: number, command: readonly string[]): [program: string, args: string[]] {
  const [program = "", ...args] = command;
  return hasTaskset() ? ["taskset", ["-c", String(core), program, ...args]] : [program, args];
}

function hasTaskset(): boolean {
  try {
    return execFileSync("taskset", ["-p", String(process.pid)]).length > 0 && navigator.hardwareConcurrency > 1;
  } catch {
    return false; // not installed
  }
}

export class TestServer {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** @param command The JavaScript file and its arguments. */
  static start(command: readonly string[], env: Readonly<Record<string, string>>): Promise<TestServer> {
    const [program, args] = pinned(0, [process.execPath, ...command]);
    const child = spawn(program, args, {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new Promise((resolve, reject) => {
      let output = "";
      child.once("exit", (code) => reject(new Error(`the server ended with code ${code}: ${output}`)));
      child.stdout?.on("data", (chunk: Buffer) => {
        output += chunk;
        const url = /listening on (\S+?)"/.exec(output)?.[1];
        if (url !== undefined) resolve(new TestServer(url, child));
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  cost(): Cost {
    const { pid } = this;
    const processes = [pid, ...descendants(pid)];
    const ticks = processes.map(ticksOf).reduce((sum, count) => sum + count, 0);
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return { cpuSeconds: ticks / TICKS, peakMemoryMib: Number(peak) / 1024 };
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.removeAllListeners("exit").once("exit", () => resolve());
      this.#child.kill();
    });
  }
}

/** All processes that a process has started, and those they have. */
function descendants(pid: number): number[] {
  const parents = readdirSync("/proc")
    .map(Number)
    .filter(Number.isInteger)
    .map((child) => [child, Number(statOf(child)[1])] as const);
  const below = (parent: number): number[] =>
    parents.filter(([, itsParent]) => itsParent === parent).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

/** User and system time of a process and of its children that have ended: fields 14 to 17 of proc(5). */
function ticksOf(pid: number): number {
  return statOf(pid)
    .slice(11, 15)
    .reduce((sum, field) => sum + Number(field), 0);
}

/** The fields behind the name, from the state on; none for a process that has ended. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
