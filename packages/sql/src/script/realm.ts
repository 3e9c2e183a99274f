/** An isolate with one script in it. Nothing of it is shared: neither memory nor symbols with any other script. */

import ivm from "isolated-vm";
import type { Failure, Outcome } from "./frames.ts";
import { harden } from "./harden.ts";
import { type Entry, type Factory, type Host, prelude, type Thrown } from "./prelude.ts";
import { SCRIPT_FILE } from "./source.ts";

/** What V8 throws when it will not give more: a script that is out of memory, told politely. */
const EXHAUSTED = new Set([
  "Maximum call stack size exceeded",
  "Array buffer allocation failed",
  "Invalid string length",
]);
/** Less is not possible: V8's own needs. */
const MIN_MB = 8;
/** Of a frame in the caller's text; where V8 tells the origin of evaluated code it forgets the line offset. */
const PLACE = new RegExp(`^\\s+at (?!.*eval at).*\\b${SCRIPT_FILE}:(\\d+):(\\d+)`, "m");
const BOOT = `"use strict"; return (${prelude.toString()})(${harden.toString()}, { ask: $0, log: $1, settle: $2 })`;

/** What a realm needs of the process around it. */
export type Outside = Pick<Host, "ask" | "log">;

export class Realm {
  readonly memoryMb: number;
  readonly #isolate: ivm.Isolate;
  readonly #context: ivm.Context;
  readonly #load: ivm.Reference<Entry["load"]>;
  readonly #start: ivm.Reference<Entry["start"]>;
  #settled: string | undefined;

  /** Takes some milliseconds: make one ahead. */
  constructor(memoryMb: number, { ask, log }: Outside) {
    this.memoryMb = memoryMb;
    this.#isolate = new ivm.Isolate({ memoryLimit: Math.max(MIN_MB, memoryMb) });
    this.#context = this.#isolate.createContextSync();
    const settle: Host["settle"] = (outcome) => {
      this.#settled = outcome;
    };
    const entry = this.#context.evalClosureSync(BOOT, [ask, log, settle], {
      filename: "sandbox",
      result: { reference: true },
    }) as ivm.Reference<Entry>; // what `prelude` returns
    this.#load = entry.getSync("load", { reference: true });
    this.#start = entry.getSync("start", { reference: true });
  }

  /**
   * @param code Of `wrap`.
   * @returns How it failed: V8 refuses a text that the parser let through, or has no memory for it.
   */
  load(code: string): Outcome | undefined {
    try {
      this.#compile(code);
      return undefined;
    } catch (error) {
      return this.#isolate.isDisposed ? { kind: "memory" } : { kind: "failed", ...compileFailure(error) };
    }
  }

  #compile(code: string): void {
    const script = this.#isolate.compileScriptSync(code, { filename: SCRIPT_FILE, lineOffset: -1 });
    const factory = script.runSync(this.#context, { reference: true }) as ivm.Reference<Factory>; // of `wrap`
    this.#load.applySync(undefined, [factory.derefInto() as unknown as Factory] /* it arrives as one */);
  }

  /**
   * Runs the script once, with all that it leaves to microtasks.
   * @param timeoutMs Of computing; it cannot end a wait in `ask`.
   * @returns Undefined when the realm is no longer clean; nothing was run then.
   */
  run(input: string, timeoutMs: number): Outcome | undefined {
    this.#settled = undefined;
    let told: string | undefined;
    try {
      told = this.#start.applySync(undefined, [input], { timeout: Math.max(1, Math.ceil(timeoutMs)) }) as
        string | undefined; // as declared
    } catch (error) {
      return this.#caught(error);
    }
    told ??= this.#settled;
    if (told === "~") return undefined;
    if (told === undefined) return this.#isolate.isDisposed ? { kind: "memory" } : { kind: "stuck" };
    return told[0] === "=" ? { kind: "done", result: told.slice(1) } : failed(JSON.parse(told.slice(1)) as Thrown); // `describe` wrote it
  }

  dispose(): void {
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }

  /** A limit, or a rejection that nobody handled. */
  #caught(error: unknown): Outcome {
    if (this.#isolate.isDisposed) return { kind: "memory" };
    const { message, name, stack } = (error ?? {
      message: "a promise was rejected with null, and nobody handled it",
    }) as Error; // isolated-vm gives errors only, or null
    if (message === "Script execution timed out.") return { kind: "timeout" };
    if (message.includes("isolated-vm")) return failed({ message: "a promise was rejected, and nobody handled it" });
    return failed({ message, name, stack: stack ?? "" });
  }
}

function compileFailure(error: unknown): Failure {
  const { message, name } = error as Error; // isolated-vm gives errors only
  const [, line, column] = /\[script:(\d+):(\d+)\]$/.exec(message) ?? [];
  const text = message.replace(/ \[script:\d+:\d+\]$/, "");
  return line === undefined
    ? { message: text, name }
    : { message: text, name, line: Number(line), column: Number(column) };
}

function failed({ message, name, stack, statement, isResult }: Thrown): Outcome {
  const [, line, column] = PLACE.exec(stack ?? "") ?? [];
  const place = line === undefined ? {} : { line: Number(line), column: Number(column) };
  if (isResult === true) {
    const why = message.split("\n", 1)[0] ?? ""; // V8 draws the cycle on the lines below
    return { kind: "failed", message: `the result cannot be written as JSON: ${why}`, name, statement, ...place };
  }
  const kind = name === "RangeError" && EXHAUSTED.has(message) ? "memory" : "failed";
  return { kind, message, name, statement, ...place };
}
