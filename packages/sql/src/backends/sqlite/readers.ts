/** The readers: a queue of statements that only read, and some processes that take them, several at a time. */

import { unavailable } from "@mikcar/core";
import { Connection } from "./connection.ts";
import { Job } from "./job.ts";
import type { Settings } from "./process/database.ts";
import { isReadOnlyFailure } from "./translate.ts";
import { type Answer, isFailure, type Success } from "./wire.ts";

/** What a reader takes at once: so many statements, or what lasts so long by the experience of late. */
const MOST_AT_ONCE = 32;
const WORK_MS = 5;
/** What waits longer than this goes to another reader. */
const PATIENCE_MS = 20;
/** How long a statement that nobody waits for may go on. */
const GRACE_MS = 50;
const IDLE_MS = 30_000;

/** A stream at its first piece. */
export interface Pieces {
  readonly first: Success;
  /** @throws As `query` does; the stream is at its end then. */
  next(timeoutMs: number | undefined): Promise<Success>;
  /** Nobody wants more. */
  stop(): void;
}

interface Reader {
  readonly connection: Connection;
  /** The job that it streams for. */
  stream: Job | undefined;
  /** When it was given its work. */
  givenAt: number;
  /** When it was last given work or answered. */
  since: number;
  size: number;
  /** The id of what it is seen at work on; 0: unknown. */
  running: number;
}

export class Readers {
  readonly #settings: Settings;
  readonly #most: number;
  readonly #toWriter: (job: Job) => void;
  readonly #readers = new Set<Reader>();
  readonly #queue: Job[] = [];
  readonly #streams: Job[] = [];
  readonly #idleTimer: NodeJS.Timeout;
  #isScheduled = false;
  #isClosed = false;
  /** What a statement took of late. */
  #costMs = 0.2;

  /** @param most Readers for queries; streams get as many again. @param toWriter Takes a job that turns out to write. */
  constructor(settings: Settings, most: number, toWriter: (job: Job) => void) {
    this.#settings = settings;
    this.#most = most;
    this.#toWriter = toWriter;
    this.#idleTimer = setInterval(() => this.#endIdle(), IDLE_MS / 3).unref();
  }

  /** Jobs before them. */
  get waiting(): number {
    return this.#queue.length + this.#streams.length;
  }

  submit(job: Job): void {
    if (this.#isClosed) return job.fail(closed());
    this.#enqueue(job, false);
    this.#schedule();
  }

  async stream(job: Job): Promise<Pieces> {
    if (this.#isClosed) throw closed();
    this.#streams.push(job);
    this.#schedule();
    const first = await job.result;
    const reader = [...this.#readers].find(({ stream }) => stream === job);
    return {
      first,
      next: async (timeoutMs) => {
        const piece = new Job([], { signal: job.signal, timeoutMs });
        if (reader === undefined || reader.connection.isGone) throw lost();
        reader.connection.send(["more", piece.id], piece);
        return piece.result;
      },
      stop: () => {
        if (reader?.stream !== job) return;
        reader.connection.send(["stop"]);
        this.#free(reader);
      },
    };
  }

  /** Looks after what takes long. @returns Whether anything goes on. */
  sweep(now: number): boolean {
    for (const job of this.#queue) job.check(now);
    for (const job of this.#streams) job.check(now);
    let isBusy = this.#queue.length + this.#streams.length > 0;
    for (const reader of this.#readers) {
      if (reader.stream !== undefined) this.#watchStream(reader, reader.stream, now);
      else this.#watchReads(reader, now);
      isBusy ||= reader.stream !== undefined || reader.connection.pending.size > 0;
    }
    const oldest = this.#queue[0];
    this.#dispatch(oldest !== undefined && now - oldest.queuedAt > PATIENCE_MS);
    return isBusy;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#idleTimer);
    for (const job of [...this.#queue.splice(0), ...this.#streams.splice(0)]) job.fail(closed());
    const readers = [...this.#readers];
    for (const { connection } of readers) connection.kill();
    await Promise.all(readers.map(({ connection }) => connection.ended));
  }

  #enqueue(job: Job, isFirst: boolean): void {
    job.queuedAt = performance.now();
    job.isQueued = true;
    if (isFirst) this.#queue.unshift(job);
    else this.#queue.push(job);
  }

  /** Once per event turn: what arrives in one goes out in one. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#dispatch(false);
    });
  }

  /** @param isUrgent Another reader may be started if none is free. */
  #dispatch(isUrgent: boolean): void {
    if (this.#isClosed) return;
    const all = [...this.#readers];
    for (let reader = all.find(isFree); this.#queue.length > 0 && reader !== undefined; reader = all.find(isFree)) {
      this.#give(reader);
    }
    const reading = all.filter(({ stream }) => stream === undefined);
    const isStarting = reading.some(({ connection }) => !connection.isUp);
    if (this.#queue.length > 0 && reading.length < this.#most && !isStarting && (isUrgent || reading.length === 0)) {
      this.#give(this.#start());
    }
    this.#dispatchStreams();
  }

  #dispatchStreams(): void {
    let streaming = [...this.#readers].filter(({ stream }) => stream !== undefined).length;
    while (this.#streams.length > 0 && streaming < this.#most) {
      const job = this.#streams.shift();
      if (job === undefined || job.isOver) continue;
      const reader = [...this.#readers].find(isFree) ?? this.#start();
      reader.stream = job;
      reader.connection.run("stream", [job]);
      streaming += 1;
    }
  }

  #give(reader: Reader): void {
    const limit = Math.max(1, Math.min(MOST_AT_ONCE, Math.floor(WORK_MS / this.#costMs)));
    const jobs: Job[] = [];
    const now = performance.now();
    let taken = 0;
    for (const job of this.#queue) {
      const isAlone = job.losses > 0; // it may be what ended the process
      if (jobs.length >= limit || (isAlone && jobs.length > 0)) break;
      taken += 1;
      job.isQueued = false;
      if (job.isOver) continue;
      job.sentAt = now;
      jobs.push(job);
      if (isAlone) break;
    }
    this.#queue.splice(0, taken);
    if (jobs.length === 0) return;
    reader.givenAt = now;
    reader.since = now;
    reader.size = jobs.length;
    reader.running = 0;
    reader.connection.run("read", jobs);
  }

  #start(): Reader {
    const reader: Reader = {
      connection: new Connection(this.#settings, {
        onAnswer: (answer, job) => this.#answer(reader, answer, job),
        onQuestion: () => undefined, // a reader commits nothing
        onRunning: (id) => this.#passOn(reader, id),
        onUp: () => (reader.givenAt = performance.now()), // the start of the process is no cost of its statements
        onRead: () => this.#read(reader),
        onEnd: () => this.#end(reader),
      }),
      stream: undefined,
      givenAt: 0,
      since: performance.now(),
      size: 0,
      running: 0,
    };
    this.#readers.add(reader);
    return reader;
  }

  #answer(reader: Reader, answer: Answer, job: Job | undefined): void {
    if (reader.stream !== undefined && (isFailure(answer) || !answer.hasMore)) this.#free(reader);
    if (job === undefined || job.isOver || job.isWrite) return;
    job.isWrite = job.statements.length > 0 && !job.isReadOnly && isReadOnlyFailure(answer);
    if (job.isWrite) this.#toWriter(job);
    else job.settle(answer);
  }

  #read(reader: Reader): void {
    const now = performance.now();
    const isDone = reader.connection.pending.size === 0;
    if (isDone && reader.size > 0) {
      const sample = Math.min((now - reader.givenAt) / reader.size, PATIENCE_MS);
      this.#costMs += (sample - this.#costMs) / 8;
      reader.size = 0;
    }
    reader.since = now;
    reader.running = 0;
    if (isDone && this.#queue.length + this.#streams.length > 0) this.#schedule();
  }

  #free(reader: Reader): void {
    reader.stream = undefined;
    reader.since = performance.now();
    this.#schedule();
  }

  #watchStream(reader: Reader, stream: Job, now: number): void {
    for (const job of reader.connection.pending.values()) job.check(now);
    const isLeft = [...reader.connection.pending.values()].some(({ cancelledAt }) => cancelledAt > 0);
    if (isLeft || stream.signal.aborted) reader.connection.kill();
  }

  #watchReads({ connection, since, running }: Reader, now: number): void {
    let isStuck = false;
    for (const job of connection.pending.values()) {
      job.check(now);
      if (job.cancelledAt > 0 && now - job.cancelledAt > GRACE_MS) connection.killIfRunning(job);
      isStuck ||= !job.isOver && !job.isQueued && !job.isRunning && now - job.sentAt > PATIENCE_MS;
    }
    if (connection.isUp && isStuck && now - since > PATIENCE_MS && (running === 0 || connection.pending.size > 1)) {
      connection.askRunning();
    }
  }

  /** What stands behind a long statement goes to another reader as well; the first answer counts. */
  #passOn(reader: Reader, running: number): void {
    reader.running = running;
    const now = performance.now();
    const stuck: Job[] = [];
    for (const job of reader.connection.pending.values()) {
      if (job.id === running) job.isRunning = true;
      else if (!job.isOver && !job.isQueued && !job.isRunning && now - job.sentAt > PATIENCE_MS) stuck.push(job);
    }
    for (const job of stuck.reverse()) this.#enqueue(job, true);
    if (stuck.length > 0) this.#dispatch(true);
  }

  #end(reader: Reader): void {
    const { connection } = reader;
    this.#readers.delete(reader);
    const jobs = [...connection.pending.values()].reverse();
    for (const job of jobs) {
      if (connection.error !== undefined) job.fail(connection.error);
      else if (this.#isClosed) job.fail(closed());
      else if (reader.stream !== undefined || job.statements.length === 0) job.fail(lost());
      else if (!job.isOver && !job.isQueued && !this.#isElsewhere(job) && (connection.isKilled || job.survives())) {
        job.isRunning = false;
        this.#enqueue(job, true);
      }
    }
    this.#dispatch(true);
  }

  #isElsewhere({ id }: Job): boolean {
    return [...this.#readers].some(({ connection }) => connection.pending.has(id));
  }

  /** One stays, so that the next query need not wait for a process to start. */
  #endIdle(): void {
    const idle = [...this.#readers].filter(isFree);
    const old = idle.filter(({ since }) => performance.now() - since > IDLE_MS);
    for (const { connection } of old.slice(idle.length === this.#readers.size ? 1 : 0)) connection.kill();
  }
}

function isFree({ connection, stream }: Reader): boolean {
  return stream === undefined && connection.pending.size === 0 && !connection.isGone;
}

function closed(): Error {
  return unavailable("the database is closed");
}

function lost(): Error {
  return unavailable("the SQLite process has ended");
}
