/** A server under test: started as a user would, on the first core, and what it has cost so far. */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
/** Ticks per second of /proc/PID/stat: proc(5). */
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
/** Puts a command on one core where `taskset` and a second core exist, so that load and server do not share one. */
export function pinned(core, command) {
  const [program = "", ...args] = command;
  return hasTaskset() ? ["taskset", ["-c", String(core), program, ...args]] : [program, args];
}
function hasTaskset() {
  try {
    return execFileSync("taskset", ["-p", String(process.pid)]).length > 0 && navigator.hardwareConcurrency > 1;
  } catch {
    return false; // not installed
  }
}
export class TestServer {
  url;
  #child;
  constructor(url, child) {
    this.url = url;
    this.#child = child;
  }
  /** @param command The JavaScript file and its arguments. */
  static start(command, env) {
    const [program, args] = pinned(0, [process.execPath, ...command]);
    const child = spawn(program, args, {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new Promise((resolve, reject) => {
      let output = "";
      child.once("exit", (code) => reject(new Error(`the server ended with code ${code}: ${output}`)));
      child.stdout?.on("data", (chunk) => {
        output += chunk;
        const url = /listening on (\S+?)"/.exec(output)?.[1];
        if (url !== undefined) resolve(new TestServer(url, child));
      });
    });
  }
  cost() {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15); // fields 14 to 17, counted behind the name
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
    return { cpuSeconds: (utime + stime + cutime + cstime) / TICKS, peakMemoryMib: Number(peak) / 1024 };
  }
  stop() {
    return new Promise((resolve) => {
      this.#child.removeAllListeners("exit").once("exit", () => resolve());
      this.#child.kill();
    });
  }
}
