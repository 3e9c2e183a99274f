/** The engine: children that may die, a queue before them, and one clock for all. */

import { availableParallelism } from "node:os";
import { unavailable } from "@mikcar/core";
import type { ScriptEngine, ScriptJob } from "./engine.ts";
import { Run } from "./run.ts";
import { Worker } from "./worker.ts";

export interface EngineOptions {
  /** Scripts that run at once, each in a child; default twice the cores, between 2 and 8. One more child is a spare. */
  readonly children?: number;
  /** Scripts that wait beyond those; default 256. */
  readonly waiting?: number;
  /** Without work for this long, children beyond one end; default 30 000. */
  readonly idleMs?: number;
}

const TICK_MS = 10;
const LATE_MS = 50;
/** Without a script, until the clock stops. */
const LINGER_TICKS = 50;
const MAX_FAILED_STARTS = 3;
const MAX_WAIT_MS = 30_000;
const RETRY = { headers: { "Retry-After": "1" } };

/** The first child starts with the first script. */
export function createEngine(options: EngineOptions = {}): ScriptEngine {
  return new Pool(options);
}

class Pool implements ScriptEngine {
  readonly #children: number;
  readonly #waiting: number;
  readonly #idleMs: number;
  readonly #workers = new Set<Worker>();
  readonly #queue: Run[] = [];
  #ticker: NodeJS.Timeout | undefined;
  #reaper: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  #wasLate = false;
  #idleTicks = 0;
  #failedStarts = 0;
  #usedAt = 0;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#children = options.children ?? Math.min(8, Math.max(2, availableParallelism() * 2));
    this.#waiting = options.waiting ?? 256;
    this.#idleMs = options.idleMs ?? 30_000;
  }

  run(job: ScriptJob): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw unavailable("the script sandbox is closed");
      job.signal.throwIfAborted();
      const places = this.#waiting + Math.max(0, this.#children - this.#count("busy"));
      if (this.#queue.length >= places) throw unavailable("too many scripts are waiting", RETRY);
      const run = new Run(job, resolve, reject);
      run.onAbort = () => this.#leaveQueue(run);
      this.#queue.push(run);
      this.#keepTime();
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ticker);
    clearInterval(this.#reaper);
    for (const run of this.#queue.splice(0)) run.fail(unavailable("the script sandbox is closed"));
    const workers = [...this.#workers];
    for (const worker of workers) worker.end(unavailable("the script sandbox is closed"));
    await Promise.all(workers.map(({ ended }) => ended));
  }

  #dispatch(): void {
    if (this.#isClosed) return;
    for (let [run] = this.#queue; run !== undefined; [run] = this.#queue) {
      const worker = this.#count("busy") < this.#children ? this.#choose(run) : undefined;
      if (worker === undefined) break;
      this.#queue.shift();
      this.#usedAt = performance.now();
      worker.start(run);
      this.#provide(run.job.memoryMb);
    }
    const [next] = this.#queue;
    if (next !== undefined) this.#provide(next.job.memoryMb);
  }

  /** One that has the script's realm, else any that is free. */
  #choose(run: Run): Worker | undefined {
    let free: Worker | undefined;
    for (const worker of this.#workers) {
      if (worker.state !== "idle") continue;
      if (worker.knows(run)) return worker;
      free ??= worker;
    }
    return free;
  }

  /** A free child for each script that may start, and one more for when a child has to be killed. */
  #provide(memoryMb: number): void {
    const busy = this.#count("busy");
    const spare = busy > 0 ? 1 : 0; // not before the first runs: it would take half of the processor from its start
    const wanted = Math.min(this.#children, busy + this.#queue.length) + spare;
    const owner = { onIdle: () => this.#onIdle(), onEnd: this.#onEnd };
    for (let count = busy + this.#count("idle") + this.#count("starting"); count < wanted; count++)
      this.#workers.add(new Worker(memoryMb, owner));
    this.#reaper ??= setInterval(() => this.#reap(), this.#idleMs / 2).unref();
  }

  #count(state: Worker["state"]): number {
    let count = 0;
    for (const worker of this.#workers) if (worker.state === state) count += 1;
    return count;
  }

  #onIdle(): void {
    this.#failedStarts = 0;
    for (const worker of this.#workers) if (worker.state === "idle" && worker.isWornOut) worker.kill();
    this.#dispatch();
  }

  readonly #onEnd = (worker: Worker, hasStarted: boolean): void => {
    this.#workers.delete(worker);
    this.#failedStarts = hasStarted ? 0 : this.#failedStarts + 1;
    // Without this, a sandbox that cannot start would be tried for ever.
    if (this.#failedStarts >= MAX_FAILED_STARTS)
      for (const run of this.#queue.splice(0)) run.fail(unavailable("the script sandbox does not start", RETRY));
    this.#dispatch();
  };

  #leaveQueue(run: Run): void {
    const at = this.#queue.indexOf(run);
    if (at !== -1) this.#queue.splice(at, 1);
  }

  /** One clock for all scripts. It keeps the process alive as long as there are any. */
  #keepTime(): void {
    this.#idleTicks = 0;
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.ref();
  }

  #tick(): void {
    const now = performance.now();
    // When this process was busy itself, an outcome in time may lie unread: read first, judge at the next tick.
    const isLate = now - this.#tickedAt > LATE_MS && !this.#wasLate;
    this.#tickedAt = now;
    this.#wasLate = isLate;
    if (isLate) return;
    for (const worker of this.#workers) worker.check(now);
    for (let [run] = this.#queue; run !== undefined && now - run.queuedAt > MAX_WAIT_MS; [run] = this.#queue) {
      this.#queue.shift();
      run.fail(unavailable("the script has waited too long for its turn", RETRY));
    }
    if (this.#queue.length > 0 || this.#count("busy") > 0) {
      this.#idleTicks = 0;
      return;
    }
    this.#idleTicks += 1;
    this.#ticker?.unref();
    if (this.#idleTicks < LINGER_TICKS) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #reap(): void {
    const now = performance.now();
    const kept = now - this.#usedAt < this.#idleMs ? 2 : 1;
    const idle = [...this.#workers].filter(({ state }) => state === "idle").sort((a, b) => b.idleSince - a.idleSince);
    for (const worker of idle.slice(kept)) if (now - worker.idleSince > this.#idleMs) worker.kill();
  }
}
