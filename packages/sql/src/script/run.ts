/** One script on its way: waiting for a child, or in one. It settles once, whoever is first to tell how it ended. */

import { isMikcarError, MikcarError } from "@mikcar/core";
import type { ScriptJob } from "./engine.ts";
import type { Outcome } from "./frames.ts";

export class Run {
  readonly job: ScriptJob;
  /** What may be used again for this script: same text, same caller, same limit. */
  readonly key: string;
  readonly queuedAt = performance.now();
  /** What `job.sql` rejected with, in order. */
  readonly failures: unknown[] = [];
  /** Set by whoever holds the run: it takes the script out of the queue or the child. */
  onAbort: () => void = () => undefined;
  /** A statement is with the database. */
  isInSql = false;
  #isSettled = false;
  readonly #resolve: (result: string) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(job: ScriptJob, resolve: (result: string) => void, reject: (reason: unknown) => void) {
    this.job = job;
    this.key = `${job.memoryMb}\n${job.caller}\n${job.source}`;
    this.#resolve = resolve;
    this.#reject = reject;
    job.signal.addEventListener("abort", this.#abort);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  fail(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
  }

  end(outcome: Outcome): void {
    if (!this.#settle()) return;
    if (outcome.kind === "done") this.#resolve(outcome.result);
    else this.#reject(this.#errorOf(outcome));
  }

  timeOut(): void {
    this.end({ kind: "timeout" });
  }

  runOutOfMemory(): void {
    this.end({ kind: "memory" });
  }

  readonly #abort = (): void => {
    const { onAbort } = this;
    this.fail(this.job.signal.reason);
    onAbort();
  };

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.job.signal.removeEventListener("abort", this.#abort);
    return true;
  }

  #errorOf(outcome: Exclude<Outcome, { kind: "done" }>): unknown {
    const { timeoutMs, memoryMb } = this.job;
    switch (outcome.kind) {
      case "timeout":
        return new MikcarError("SCRIPT_TIMEOUT", `the script did not end within ${timeoutMs} ms`, {
          details: { timeout_ms: timeoutMs },
        });
      case "stuck":
        return new MikcarError(
          "SCRIPT_TIMEOUT",
          "the script would never end: it awaits a promise that nothing settles",
        );
      case "memory": {
        const message = outcome.message ?? `the script needed more than its ${memoryMb} MB of memory`;
        return new MikcarError("SCRIPT_MEMORY", message, { details: { ...placeOf(outcome), memory_mb: memoryMb } });
      }
      default:
        return this.#failure(outcome);
    }
  }

  #failure(outcome: Extract<Outcome, { kind: "failed" }>): unknown {
    const place = placeOf(outcome);
    const cause = this.failures[outcome.statement ?? -1];
    if (isMikcarError(cause)) return placed(cause, place);
    if (cause !== undefined) return cause;
    const { message, name } = outcome;
    return new MikcarError("SCRIPT_ERROR", message, { details: { ...(name === undefined ? {} : { name }), ...place } });
  }
}

function placeOf({ line, column }: { line?: number | undefined; column?: number | undefined }): object {
  return line === undefined ? {} : { line, column };
}

/** The same error, with the place in the script beside what it tells already. */
function placed(cause: MikcarError, place: object): MikcarError {
  const { code, message, details, headers } = cause;
  const known = typeof details === "object" && details !== null ? details : {};
  const extras = { details: { ...known, ...place }, cause };
  return new MikcarError(code, message, headers === undefined ? extras : { ...extras, headers });
}
