/** A transaction that a script drives: it has the writer from its first statement to its end. */

import { unavailable } from "@mikcar/core";
import type { Affected, Rows, Transaction } from "../../backend.ts";
import { sqlError } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import type { Connection } from "./connection.ts";
import { Job, sendable } from "./job.ts";
import { affectedOf, rowsOf } from "./result.ts";
import { GRACE_MS, type Turn } from "./turn.ts";
import { type Answer, Flag, isFailure, type Success } from "./wire.ts";

type State = "new" | "waiting" | "open" | "failed" | "ending" | "done";

export class SqliteTransaction implements Transaction, Turn {
  readonly #signal: AbortSignal;
  readonly #join: (turn: Turn) => void;
  readonly #onDone: (turn: Turn) => void;
  #state: State = "new";
  #connection: Connection | undefined;
  #current: Job | undefined;
  #end: Job | undefined;
  #killAt = Infinity;

  /** @param join Called with the first statement; `start` follows when the writer is free. @param onDone It ended by itself, not by an answer. */
  constructor(signal: AbortSignal, join: (turn: Turn) => void, onDone: (turn: Turn) => void) {
    this.#signal = signal;
    this.#join = join;
    this.#onDone = onDone;
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  async query(statement: Statement): Promise<Rows> {
    const { result, text } = this.#run(statement, Flag.rows);
    return rowsOf(await result, text);
  }

  async execute(statement: Statement): Promise<Affected> {
    return affectedOf(await this.#run(statement, 0).result);
  }

  async commit(): Promise<void> {
    if (this.#state === "new") return this.#leave();
    if (this.#current !== undefined) throw busy();
    if (this.#state !== "open") throw aborted();
    await this.#finish(true);
  }

  async rollback(): Promise<void> {
    if (this.#state === "done") return;
    this.#current?.cancel(unavailable("the transaction was rolled back"));
    if (this.#state === "ending") return void (await this.#end?.result.catch(() => undefined));
    if (this.#connection === undefined) return this.#leave();
    await this.#finish(false).catch(() => undefined);
  }

  start(connection: Connection): void {
    if (this.#state === "done") return;
    this.#connection = connection;
    this.#state = "open";
    if (this.#current !== undefined) connection.run("step", [this.#current], true);
  }

  answer(answer: Answer, job: Job | undefined): void {
    if (job !== undefined && job === this.#end) this.#state = "done";
    else if (isFailure(answer) && this.#state === "open") this.#state = "failed";
    if (job === this.#current) this.#current = undefined;
    job?.settle(answer);
  }

  question(): void {
    // steps ask nothing: the end of the transaction is a message of its own
  }

  sweep(now: number): void {
    this.#current?.check(now);
    if (this.#signal.aborted && this.#state !== "ending" && this.#state !== "done") void this.rollback();
    if (now > this.#killAt) this.#connection?.kill();
  }

  end(connection: Connection): readonly Job[] {
    const isCommit = this.#killAt === Infinity;
    const reason = connection.error ?? unavailable("the SQLite process ended within a transaction");
    this.#state = "done";
    this.#current?.fail(reason);
    this.#end?.fail(isCommit ? unavailable("the SQLite process ended while it committed") : reason);
    connection.pending.clear();
    return [];
  }

  abandon(reason: Error): boolean {
    if (this.#state === "ending" && this.#killAt === Infinity) return false;
    this.#current?.cancel(reason);
    this.#state = "done";
    return true;
  }

  #run(statement: Statement, flags: number): { result: Promise<Success>; text: ReturnType<typeof sendable>["text"] } {
    if (this.#state === "failed" || this.#state === "done" || this.#state === "ending") throw aborted();
    if (this.#current !== undefined) throw busy();
    const job = new Job([this.#sendable(statement)], { signal: this.#signal, flags });
    job.check(performance.now());
    if (job.isOver) this.#state = "failed";
    else this.#current = job;
    if (this.#state === "new") {
      this.#state = "waiting";
      this.#join(this);
    } else if (this.#state === "open") {
      this.#connection?.run("step", [job]);
    }
    const [{ text }] = job.statements as [ReturnType<typeof sendable>]; // the one above
    return { result: job.result, text };
  }

  /** A text that cannot even be sent fails the transaction as well, as it does on Postgres. */
  #sendable(statement: Statement): ReturnType<typeof sendable> {
    try {
      return sendable(statement);
    } catch (error) {
      this.#state = "failed";
      throw error;
    }
  }

  async #finish(isCommit: boolean): Promise<void> {
    this.#state = "ending";
    const end = new Job([], { signal: new AbortController().signal });
    this.#end = end;
    if (!isCommit) this.#killAt = performance.now() + GRACE_MS;
    this.#connection?.send(["end", end.id, isCommit], end);
    await end.result;
  }

  #leave(): void {
    this.#state = "done";
    this.#onDone(this);
  }
}

function aborted(): Error {
  return sqlError("the transaction is over or has failed: only a rollback is left", { sqlstate: "25P02" });
}

function busy(): Error {
  return sqlError("a statement of this transaction still runs: wait for it first", { sqlstate: "25001" });
}
