/** What a caller waits for: one statement, the statements of a batch, or the next piece of a stream. */

import { unavailable } from "@mikcar/core";
import type { Statement } from "../../statement.ts";
import { sqlError } from "../../errors.ts";
import { readText, type Text, writeParams } from "./text.ts";
import { translate } from "./translate.ts";
import { type Answer, isFailure, type Success } from "./wire.ts";

/** Something may end all processes at once, and their ends are heard of one by one; a statement that ends them is rarer. */
const MAX_LOSSES = 5;

/** A statement that can be sent. */
export interface Sendable {
  readonly text: Text;
  /** JSON text. */
  readonly params: string;
}

export interface JobOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number | undefined;
  /** Of `Flag`. */
  readonly flags?: number;
  readonly maxRows?: number | undefined;
  readonly maxBytes?: number | undefined;
  readonly readOnly?: boolean | undefined;
}

/** @throws SQL_ERROR as `readText` and `writeParams` do. */
export function sendable(statement: Statement): Sendable {
  return { text: readText(statement), params: statement.params.length === 0 ? "[]" : writeParams(statement.params) };
}

export class Job {
  /** 31 bits, above 0. */
  readonly id = nextId();
  readonly statements: readonly Sendable[];
  readonly result: Promise<Success>;
  readonly signal: AbortSignal;
  readonly flags: number;
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Its caller may only read. */
  readonly isReadOnly: boolean;
  /** It has its result, or nobody waits for it any more. */
  isOver = false;
  /** When it was given up with nobody waiting any more; 0: it was not. As `performance.now` counts, like the times below. */
  cancelledAt = 0;
  queuedAt = 0;
  sentAt = 0;
  isQueued = false;
  /** Seen at work in a process. */
  isRunning = false;
  /** It was taken for a read, and is with the writer now. */
  isWrite = false;
  /** How many processes ended by themselves with it. */
  losses = 0;
  readonly #deadline: number;
  #resolve: (success: Success) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(statements: readonly Sendable[], options: JobOptions) {
    this.statements = statements;
    this.signal = options.signal;
    this.flags = options.flags ?? 0;
    this.maxRows = options.maxRows ?? -1;
    this.maxBytes = options.maxBytes ?? -1;
    this.isReadOnly = options.readOnly ?? false;
    this.#deadline = options.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The first answer counts. */
  settle(answer: Answer): void {
    if (this.isOver) return;
    if (isFailure(answer)) return this.fail(translate(answer));
    this.isOver = true;
    this.#resolve(answer);
  }

  fail(reason: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#reject(reason);
  }

  /** As `fail`; what it does in a process is to be stopped. */
  cancel(reason: unknown): void {
    if (this.isOver) return;
    this.cancelledAt = performance.now();
    this.fail(reason);
  }

  /** Cancels it when its caller has left or its time is up. */
  check(now: number): void {
    if (this.isOver) return;
    if (this.signal.aborted) this.cancel(this.signal.reason);
    else if (now > this.#deadline)
      this.cancel(sqlError("the statement took too long and was cancelled", { sqlstate: "57014" }));
  }

  /** A process ended by itself with this job. @returns Whether it may be tried once more. */
  survives(): boolean {
    this.losses += 1;
    this.isRunning = false;
    if (this.losses > MAX_LOSSES) this.fail(unavailable(`${this.losses} SQLite processes ended under this statement`));
    return !this.isOver;
  }
}

let lastId = 0;

function nextId(): number {
  lastId = (lastId % 0x3fff_ffff) + 1;
  return lastId;
}
