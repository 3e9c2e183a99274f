/**
 * SQL in one SQLite file: `sqlite:///path/db.sqlite`, `sqlite://./relative`; `sqlite::memory:` is gone with the process.
 * `readers`: processes that read at the same time, 1 to 64, default 4; started when they are needed.
 * `busy_timeout_ms`: how long to wait for another program that writes to the file, default 10000; then UNAVAILABLE.
 * A write is on the disk when it is acknowledged (WAL, synchronous=FULL).
 */

import { type Gauge, isMikcarError, MikcarError, type Open } from "@mikcar/core";
import type {
  Affected,
  BatchOptions,
  BeginOptions,
  CallOptions,
  QueryOptions,
  Rows,
  RowStream,
  SqlBackend,
  Transaction,
} from "../../backend.ts";
import { type Statement, statement } from "../../statement.ts";
import { type DatabaseFile, openFile } from "./file.ts";
import { Job, type JobOptions, type Sendable, sendable } from "./job.ts";
import { Readers } from "./readers.ts";
import { affectedOf, batchOf, rowsOf } from "./result.ts";
import { streamOf, streamOfPieces } from "./stream.ts";
import { SqliteTransaction } from "./transaction.ts";
import { Effect, Flag } from "./wire.ts";
import { Writer } from "./writer.ts";

export const open: Open<SqlBackend> = async (url) => {
  const readers = url.integer("readers", 4, { min: 1, max: 64 });
  const busyTimeoutMs = url.integer("busy_timeout_ms", 10_000, { max: 3_600_000 });
  url.refuseUnread();
  return new SqliteSql(openFile(url), readers, busyTimeoutMs);
};

/** How exactly signals and deadlines are kept: looking at all of them now and then is cheaper than a timer for each. */
const SWEEP_MS = 10;
const PING = statement("SELECT 1", [], "sqlite");

class SqliteSql implements SqlBackend {
  readonly dialect = "sqlite";
  readonly #file: DatabaseFile;
  readonly #readers: Readers;
  readonly #writer: Writer;
  /** Batches and scripts of callers who may only read: on a connection that cannot write. */
  readonly #lane: Writer;
  #sweeper: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(file: DatabaseFile, readers: number, busyTimeoutMs: number) {
    this.#file = file;
    const settings = { path: file.path, busyTimeoutMs, isDurable: file.isDurable };
    this.#writer = new Writer({ ...settings, isWriter: true });
    this.#lane = new Writer({ ...settings, isWriter: false });
    this.#readers = new Readers({ ...settings, isWriter: false }, readers, (job) => this.#write(job));
  }

  gauges(): readonly Gauge[] {
    const help = "Statements, batches and scripts that wait for the process that writes, and reads for one that reads.";
    const gauge = (kind: string, value: number): Gauge => ({
      name: "mikcar_sql_sqlite_waiting",
      help,
      labels: { kind },
      value,
    });
    return [gauge("write", this.#writer.waiting + this.#lane.waiting), gauge("read", this.#readers.waiting)];
  }

  async ping(): Promise<void> {
    this.#file.check();
    await this.query(PING, { signal: new AbortController().signal });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async query(statement: Statement, options: QueryOptions): Promise<Rows> {
    const one = sendable(statement);
    return rowsOf(await this.#run(statement, jobOf(one, options, Flag.rows)), one.text);
  }

  async execute(statement: Statement, options: CallOptions): Promise<Affected> {
    return affectedOf(await this.#run(statement, jobOf(sendable(statement), options, 0)));
  }

  async stream(statement: Statement, options: QueryOptions): Promise<RowStream> {
    const one = sendable(statement);
    const job = jobOf(one, options, Flag.rows | Flag.lines);
    if (!statement.isRead) return streamOf(await this.#run(statement, job), one.text);
    this.#begin(job);
    return streamOfPieces(await this.#readers.stream(job), one.text, options.timeoutMs);
  }

  async batch(statements: readonly Statement[], options: BatchOptions): Promise<readonly Affected[]> {
    if (statements.length === 0) return [];
    const job = new Job(statements.map(sendableOfBatch), options);
    this.#file.check();
    this.#begin(job);
    if (!job.isOver) this.#writerFor(job).submit("batch", job);
    return batchOf(await job.result);
  }

  begin({ signal, readOnly }: BeginOptions): Transaction {
    this.#file.check();
    const writer = readOnly === true ? this.#lane : this.#writer;
    return new SqliteTransaction(
      signal,
      (turn) => {
        this.#sweep();
        writer.submitTurn(turn);
      },
      (turn) => writer.leave(turn),
    );
  }

  async #close(): Promise<void> {
    this.#sweep();
    // First, since only the last connection empties the log into the file.
    await Promise.all([this.#readers.close(), this.#lane.close()]);
    await this.#writer.close();
    clearInterval(this.#sweeper);
    this.#file.remove();
  }

  #run(statement: Statement, job: Job): Job["result"] {
    if (!statement.isRead) this.#file.check();
    this.#begin(job);
    if (job.isOver) return job.result;
    if (statement.isRead) this.#readers.submit(job);
    else this.#write(job);
    return job.result;
  }

  #begin(job: Job): void {
    job.check(performance.now());
    this.#sweep();
  }

  #write(job: Job): void {
    this.#writerFor(job).submit(job.statements[0]?.text.effect === Effect.vacuum ? "alone" : "group", job);
  }

  #writerFor(job: Job): Writer {
    return job.isReadOnly ? this.#lane : this.#writer;
  }

  /** The timer also keeps this process alive as long as somebody waits, for `close` too. */
  #sweep(): void {
    this.#sweeper ??= setInterval(() => {
      const now = performance.now();
      const isReading = this.#readers.sweep(now);
      const isWriting = this.#writer.sweep(now);
      const isInLane = this.#lane.sweep(now);
      if (isReading || isWriting || isInLane || this.#closing !== undefined) return;
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }, SWEEP_MS);
  }
}

function jobOf(one: Sendable, options: QueryOptions, flags: number): Job {
  const int64 = options.int64 === "string" ? Flag.int64AsString : 0;
  const { signal, timeoutMs, maxRows, maxBytes, readOnly } = options;
  return new Job([one], { signal, timeoutMs, maxRows, maxBytes, readOnly, flags: flags | int64 } satisfies JobOptions);
}

function sendableOfBatch(statement: Statement, index: number): Sendable {
  try {
    return sendable(statement);
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    const { code, message, details } = error;
    throw new MikcarError(code, message, { details: { ...(details as object), statement: index }, cause: error }); // of sqlError
  }
}
