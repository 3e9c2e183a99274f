/** An engine for each test file, and what a test asks of it. */

import { readdirSync, readFileSync } from "node:fs";
import { afterAll } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { ScriptEngine, ScriptJob, ScriptLine } from "../../src/script/engine.ts";
import { createEngine, type EngineOptions } from "../../src/script/sandbox.ts";

export interface Asked {
  readonly method: "query" | "execute";
  readonly text: string;
  readonly params: unknown;
}

export interface Sandbox {
  readonly engine: ScriptEngine;
  /** Statements that scripts have sent, in order. */
  readonly asked: Asked[];
  readonly lines: ScriptLine[];
  /** The result, parsed. `sql` answers one row or the number 1. */
  run(source: string, job?: Partial<ScriptJob>): Promise<unknown>;
  /** The result's text. */
  text(source: string, job?: Partial<ScriptJob>): Promise<string>;
  /** What the script was refused with. @throws Error when it was not. */
  refusal(source: string, job?: Partial<ScriptJob>): Promise<Refusal>;
}

export interface Refusal {
  readonly code: unknown;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly error: unknown;
}

export function useSandbox(options: EngineOptions = {}): Sandbox {
  const engine = createEngine(options);
  afterAll(() => engine.close());
  const asked: Asked[] = [];
  const lines: ScriptLine[] = [];

  const text = (source: string, job: Partial<ScriptJob> = {}): Promise<string> =>
    engine.run({
      source,
      input: "{}",
      caller: "tester",
      timeoutMs: 5000,
      memoryMb: 32,
      signal: new AbortController().signal,
      log: (line) => lines.push(line),
      async sql(method, text, params) {
        asked.push({ method, text, params });
        return method === "query" ? '[{"id":1,"name":"Ada"}]' : "1";
      },
      ...job,
    });

  return {
    engine,
    asked,
    lines,
    text,
    run: async (source, job) => JSON.parse(await text(source, job)) as unknown,
    async refusal(source, job) {
      try {
        await text(source, job);
      } catch (error) {
        const { code, message, details } = error as { code?: unknown; message: string; details?: object };
        return { code, message, details: { ...details }, error };
      }
      throw new Error("the script was not refused");
    },
  };
}

/** The processes that this one has started and that live. */
export function childProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const [state, parent] = statOf(pid);
      return parent === String(process.pid) && state !== "Z";
    })
    .map(Number);
}

/** Milliseconds of processor time; 0 when the process is gone. */
export function processorMs(pid: number): number {
  const fields = statOf(String(pid));
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10; // ticks of 10 ms: proc(5)
}

/** The kernel counts in ticks of 10 ms: whoever burns shows within this time. */
const QUIET_MS = 60;

/** Waits until no child uses the processor: all have ended or wait. */
export async function untilQuiet(): Promise<void> {
  let before = "";
  let since = 0;
  await until("no child uses the processor", () => {
    const now = childProcesses()
      .map((pid) => `${pid} ${processorMs(pid)}`)
      .join();
    if (now !== before) since = performance.now();
    before = now;
    return performance.now() - since > QUIET_MS;
  });
}

/** From the state on, which is the third field. */
function statOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return []; // it has just ended
  }
}
