/** One use of the writer: a group of statements, a batch, or a statement that stands outside of a transaction. */

import { unavailable } from "@mikcar/core";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import type { Answer } from "./wire.ts";

/** How long a statement that nobody waits for may go on. */
export const GRACE_MS = 50;

/** Has the writer for itself until it is done. */
export interface Turn {
  readonly isDone: boolean;
  start(connection: Connection): void;
  answer(answer: Answer, job: Job | undefined): void;
  /** The process asks whether it may commit one job, or with 0 what is pending. */
  question(id: number): void;
  sweep(now: number): void;
  /** The process is gone. @returns What may be sent once more. */
  end(connection: Connection): readonly Job[];
  /** The backend closes. @returns Whether the process may be killed: no commit is under way. */
  abandon(reason: Error): boolean;
}

export type Work = "group" | "batch" | "alone";

/**
 * The process commits only with this side's consent. So it may be killed at any time before: nothing has happened then,
 * and what nobody gave up is sent again. After the consent it is left alone.
 */
export class JobTurn implements Turn {
  readonly kind: Work;
  readonly #jobs: readonly Job[];
  #connection: Connection | undefined;
  /** Ids whose commit has been consented to. */
  readonly #consented = new Set<number>();

  constructor(kind: Work, jobs: readonly Job[]) {
    this.kind = kind;
    this.#jobs = jobs;
  }

  get isDone(): boolean {
    return this.#connection?.pending.size === 0;
  }

  start(connection: Connection): void {
    this.#connection = connection;
    connection.run(this.kind, this.#jobs);
  }

  answer(answer: Answer, job: Job | undefined): void {
    job?.settle(answer);
  }

  question(id: number): void {
    const pending = this.#connection?.pending ?? new Map<number, Job>();
    const asked = id === 0 ? [...pending.values()] : [...pending.values()].filter((job) => job.id === id);
    const without = asked.filter(({ isOver }) => isOver).map((job) => job.id);
    for (const left of without) pending.delete(left);
    this.#consented.clear();
    if (without.length === 0) for (const job of asked) this.#consented.add(job.id);
    this.#connection?.send(["verdict", without]);
  }

  sweep(now: number): void {
    for (const job of this.#connection?.pending.values() ?? []) {
      if (this.#consented.has(job.id)) continue;
      job.check(now);
      if (job.cancelledAt > 0 && now - job.cancelledAt > GRACE_MS) this.#connection?.killIfRunning(job);
    }
  }

  end(connection: Connection): readonly Job[] {
    const again: Job[] = [];
    for (const job of connection.pending.values()) {
      if (connection.error !== undefined) job.fail(connection.error);
      else if (this.#consented.has(job.id)) job.fail(unavailable("the SQLite process ended while it committed"));
      else if (!job.isOver && (connection.isKilled || job.survives())) again.push(job);
    }
    connection.pending.clear();
    return again;
  }

  abandon(reason: Error): boolean {
    for (const job of this.#jobs) if (!this.#consented.has(job.id)) job.cancel(reason);
    return this.#consented.size === 0;
  }
}
