/** The writer: one process with the only connection that writes, and a queue before it. */

import { unavailable } from "@mikcar/core";
import { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import type { Settings } from "./process/database.ts";
import { JobTurn, type Turn, type Work } from "./turn.ts";

/** So many independent statements share one commit at most. */
const MOST_IN_GROUP = 256;
/** How long the process may take to move its log into the file when the backend closes. */
const CLOSE_MS = 5000;

type Waiting = { readonly kind: Work; readonly job: Job } | { readonly kind: "turn"; readonly turn: Turn };

export class Writer {
  readonly #settings: Settings;
  #queue: Waiting[] = [];
  #turn: Turn | undefined;
  #connection: Connection | undefined;
  #isScheduled = false;
  #isClosed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Jobs and turns before it. */
  get waiting(): number {
    return this.#queue.length;
  }

  submit(kind: Work, job: Job): void {
    this.#join({ kind, job });
  }

  /** Gives the writer to `turn` until it is done. */
  submitTurn(turn: Turn): void {
    this.#join({ kind: "turn", turn });
  }

  /** To be called when a turn is done without an answer. */
  leave(turn: Turn): void {
    if (this.#turn === turn) this.#next();
    else this.#queue = this.#queue.filter((waiting) => waiting.kind !== "turn" || waiting.turn !== turn);
  }

  /** Looks after what takes long. @returns Whether anything goes on. */
  sweep(now: number): boolean {
    for (const waiting of this.#queue) {
      if (waiting.kind === "turn") waiting.turn.sweep(now);
      else waiting.job.check(now);
    }
    this.#turn?.sweep(now);
    return this.#turn !== undefined || this.#queue.length > 0;
  }

  /** What is being committed is waited for; all else is given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const reason = unavailable("the database is closed");
    const turns = this.#queue.flatMap((waiting) => (waiting.kind === "turn" ? [waiting.turn] : []));
    for (const waiting of this.#queue.splice(0)) if (waiting.kind !== "turn") waiting.job.fail(reason);
    for (const turn of turns) turn.abandon(reason);
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#turn === undefined) this.#quit(connection);
    else if (this.#turn.abandon(reason)) connection.kill();
    const timer = setTimeout(() => connection.kill(), CLOSE_MS);
    await connection.ended;
    clearTimeout(timer);
  }

  #join(waiting: Waiting): void {
    if (this.#isClosed) {
      const reason = unavailable("the database is closed");
      if (waiting.kind === "turn") waiting.turn.abandon(reason);
      else waiting.job.fail(reason);
      return;
    }
    this.#queue.push(waiting);
    this.#schedule();
  }

  /** Once per event turn: what arrives in one shares a commit. */
  #schedule(): void {
    if (this.#isScheduled || this.#turn !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#turn === undefined) this.#next();
    });
  }

  #next(): void {
    this.#turn = this.#takeTurn();
    if (this.#isClosed && this.#connection !== undefined) return this.#quit(this.#connection);
    if (this.#turn === undefined) return;
    this.#connection ??= this.#start();
    this.#turn.start(this.#connection);
    if (this.#turn.isDone) this.#next();
  }

  #takeTurn(): Turn | undefined {
    this.#queue = this.#queue.filter((waiting) => waiting.kind === "turn" || !waiting.job.isOver);
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    if (first.kind === "turn") {
      this.#queue.shift();
      return first.turn;
    }
    const jobs: Job[] = [];
    for (const waiting of this.#queue) {
      if (waiting.kind === "turn" || waiting.kind !== first.kind || jobs.length >= mostOf(first.job, first.kind)) break;
      if (jobs.length > 0 && waiting.job.losses > 0) break;
      jobs.push(waiting.job);
    }
    this.#queue.splice(0, jobs.length);
    return new JobTurn(first.kind, jobs);
  }

  #start(): Connection {
    const connection = new Connection(this.#settings, {
      onAnswer: (answer, job) => this.#turn?.answer(answer, job),
      onQuestion: (id) => this.#turn?.question(id),
      onRunning: () => undefined, // not asked here
      onUp: () => undefined, // what it was sent waits for it
      onRead: () => {
        if (this.#turn?.isDone === true) this.#next();
      },
      onEnd: () => this.#end(connection),
    });
    return connection;
  }

  #end(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    const again = this.#turn?.end(connection) ?? [];
    const kind = this.#turn instanceof JobTurn ? this.#turn.kind : "group";
    this.#turn = undefined;
    if (this.#isClosed) {
      for (const job of again) job.fail(unavailable("the database is closed"));
      return;
    }
    this.#queue.unshift(...again.map((job) => ({ kind, job })));
    this.#next();
  }

  #quit(connection: Connection): void {
    connection.send(["quit"]);
  }
}

/** A statement that was there when the process ended by itself goes alone: it may be what ended it. */
function mostOf(first: Job, kind: Work): number {
  return kind === "group" && first.losses === 0 ? MOST_IN_GROUP : 1;
}
