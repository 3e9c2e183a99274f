/** One child of the sandbox as this process sees it: it gives it scripts, answers their statements, and ends it. */

import { errorBody, isMikcarError, parseJson, unavailable } from "@mikcar/core";
import { Child, siblingModule } from "../channel.ts";
import { type ChildFrame, decodeChild, encodeRun, refusal, STOP } from "./frames.ts";
import { ResidentMemory } from "./memory.ts";
import { childPermissions } from "./permissions.ts";
import type { Run } from "./run.ts";

const MIB = 1024 * 1024;
/** Scripts whose realms a child keeps; each takes about 2 MB. */
const MAX_KNOWN = 16;
/** A script that computes is ended by its isolate's own clock; when that does not help within this time, by a kill. */
const GRACE_MS = 50;
/** From the order to stop until the kill. */
const STOP_MS = 200;
/** What V8 and the allocator may take beside a script's own limit before the child counts as out of memory. */
const MARGIN_MB = 48;
/** Scripts may run this long in a child before its memory is measured anew: too short to fill the margin. */
const MEASURE_MS = 20;
/** A child that keeps more than this when idle is replaced. */
const MAX_GROWTH_MB = 256;

const PROGRAM = siblingModule("child", import.meta.url);
let permissions: string[] | undefined;

/** Who is told what becomes of a child. */
export interface Owner {
  onIdle(): void;
  /** @param hasStarted False: it never came to its first word. */
  onEnd(worker: Worker, hasStarted: boolean): void;
}

export class Worker {
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  idleSince = performance.now();
  readonly #child: Child;
  readonly #memory: ResidentMemory;
  readonly #owner: Owner;
  /** Scripts by key, the least recently used first: what the child knows, under which id. */
  readonly #known = new Map<string, number>();
  #state: "starting" | "idle" | "busy" | "ending" = "starting";
  #hasStarted = false;
  #run: Run | undefined;
  #nextId = 1;
  #deadline = 0;
  #killAt = 0;
  #firstBytes = 0;
  #idleBytes = 0;
  #lastBytes = 0;
  #usedMs = Infinity;
  #startedAt = 0;

  /** @param memoryMb Of the scripts to come: the child makes a realm ahead. */
  constructor(memoryMb: number, owner: Owner) {
    this.#owner = owner;
    permissions ??= childPermissions(PROGRAM);
    this.#child = new Child(PROGRAM, (frame) => this.#receive(frame), {
      args: [String(memoryMb)],
      execArgv: permissions,
    });
    this.#child.ref(false);
    this.#memory = new ResidentMemory(this.#child.process.pid);
    this.ended = this.#end();
  }

  get state(): "starting" | "idle" | "busy" | "ending" {
    return this.#state;
  }

  /** More memory than scripts should leave behind. */
  get isWornOut(): boolean {
    return this.#idleBytes - this.#firstBytes > MAX_GROWTH_MB * MIB;
  }

  knows(run: Run): boolean {
    return this.#known.has(run.key);
  }

  /** Only when idle. */
  start(run: Run): void {
    const { timeoutMs, memoryMb, input, source } = run.job;
    const startedAt = performance.now();
    this.#state = "busy";
    this.#run = run;
    this.#deadline = startedAt + timeoutMs;
    this.#killAt = 0;
    this.#startedAt = startedAt;
    this.#lastBytes = 0;
    this.#measure();
    run.onAbort = () => this.#stop(run);

    const isKnown = this.#known.has(run.key);
    const id = this.#known.get(run.key) ?? this.#nextId++;
    this.#known.delete(run.key);
    this.#known.set(run.key, id);
    const drop = this.#known.size > MAX_KNOWN ? this.#forgetOldest() : 0;
    this.#child.send(encodeRun({ id, timeoutMs, memoryMb, drop, input, source: isKnown ? undefined : source }));
  }

  /** To be called every few milliseconds while a script runs: the clock, and the memory. */
  check(now: number): void {
    const run = this.#run;
    if (run === undefined || this.#state === "ending") return;
    if (run.isSettled) {
      if (now >= this.#killAt) this.kill();
      return;
    }
    if (now >= this.#deadline && run.isInSql) {
      run.timeOut();
      this.#stop(run);
    } else if (now >= this.#deadline + GRACE_MS) {
      run.timeOut();
      this.kill();
    } else {
      this.#lastBytes = this.#memory.read() ?? 0;
      if (this.#lastBytes <= this.#idleBytes + (run.job.memoryMb + MARGIN_MB) * MIB) return;
      run.runOutOfMemory();
      this.kill();
    }
  }

  /** Ends the child, and its script with this reason. */
  end(reason: unknown): void {
    this.#run?.fail(reason);
    this.kill();
  }

  kill(): void {
    this.#state = "ending";
    this.#child.kill();
    this.#child.ref(true); // who closes waits for its end
  }

  #receive(text: string): void {
    if (this.#state === "ending") return;
    try {
      this.#take(decodeChild(text));
    } catch (error) {
      this.end(error);
    }
  }

  #take(frame: ChildFrame): void {
    const run = this.#run;
    if (frame.kind === "ready") {
      this.#hasStarted = true;
      this.#becomeIdle();
    } else if (run === undefined) {
      throw new Error("a child of the script sandbox spoke out of turn");
    } else if (frame.kind === "statement") {
      void this.#answer(run, frame);
    } else if (frame.kind === "line") {
      if (!run.isSettled) run.job.log({ level: frame.level, text: frame.text });
    } else {
      this.#run = undefined;
      this.#state = "starting"; // until it is ready, which it mostly is at once
      run.end(frame.outcome);
      if (frame.isReady) this.#becomeIdle();
    }
  }

  async #answer(run: Run, { method, text, params }: Extract<ChildFrame, { kind: "statement" }>): Promise<void> {
    run.isInSql = true;
    if (performance.now() >= this.#deadline) run.timeOut();
    if (run.isSettled) return this.#stop(run);
    let answer: string;
    try {
      answer = await run.job.sql(method, text, parseJson(params));
    } catch (error) {
      answer = refusal(run.failures.push(error) - 1, messageOf(error));
    }
    if (!run.isInSql) return; // stopped meanwhile, and the child has its answer
    run.isInSql = false;
    this.#child.send(answer);
  }

  /** Ends a script whose caller has been told: gently, so that the child can be used again, and soon by force. */
  #stop(run: Run): void {
    if (run !== this.#run) return;
    if (this.#killAt === 0) this.#killAt = performance.now() + STOP_MS;
    if (!run.isInSql) return; // its next word will get the answer
    run.isInSql = false;
    this.#child.send(STOP);
  }

  #becomeIdle(): void {
    this.#state = "idle";
    this.idleSince = performance.now();
    this.#usedMs += this.idleSince - this.#startedAt;
    this.#owner.onIdle();
  }

  /** What the child holds between two scripts; not each time, for it costs some microseconds. */
  #measure(): void {
    if (this.#usedMs < MEASURE_MS) return;
    this.#usedMs = 0;
    this.#idleBytes = this.#memory.read() ?? 0;
    if (this.#firstBytes === 0) this.#firstBytes = this.#idleBytes;
  }

  #forgetOldest(): number {
    const [key, id] = this.#known.entries().next().value ?? ["", 0];
    this.#known.delete(key);
    return id;
  }

  /** V8 aborts when it gets no memory, and the system kills whoever has taken much of it; else somebody else has. */
  #lose(): void {
    const run = this.#run;
    const hasMuch = this.#lastBytes > this.#idleBytes + ((run?.job.memoryMb ?? 0) / 2) * MIB;
    if (this.#child.process.signalCode !== "SIGKILL" || hasMuch) run?.runOutOfMemory();
    else run?.fail(unavailable("the script's process was killed from outside", { headers: { "Retry-After": "1" } }));
  }

  async #end(): Promise<void> {
    await this.#child.ended;
    const isKilled = this.#state === "ending";
    this.#state = "ending";
    this.#memory.close();
    if (!isKilled) this.#lose();
    this.#owner.onEnd(this, this.#hasStarted);
  }
}

/** A fault of the sidecar's side stays hidden from scripts as it does from callers. */
function messageOf(error: unknown): string {
  if (isMikcarError(error)) return errorBody(error).error;
  return error instanceof Error ? error.message : String(error);
}
