/** One connection: its prepared statements, its transactions, and its answers as text. */

import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { type Definition, Effect, Fault, Flag, type Run, type WireParam, writeFailure, writeSuccess } from "../wire.ts";
import { Guard, MARK } from "./guard.ts";
import { Shape } from "./shape.ts";

/** What a process is told when it starts. */
export interface Settings {
  readonly path: string;
  readonly isWriter: boolean;
  readonly busyTimeoutMs: number;
  /** False where nothing outlives the sidecar anyway. */
  readonly isDurable: boolean;
}

/** What a run gave, as the wire has it. */
export interface Outcome {
  readonly text: string;
  readonly isFailed: boolean;
  /** Stopped half way: what it has changed must be rolled back. */
  readonly isCut: boolean;
}

/** Takes one piece of a stream, and returns the id for the next one; undefined: nobody wants it. */
export type OnPiece = (text: string) => number | undefined;

/** More rows than this V8 could not hold in one string once they are bytes again. In characters. */
const LARGEST_TEXT = 128 * 1024 * 1024;
const PIECE_SIZE = 64 * 1024;
/** Stands as the last inserted rowid until a row is inserted: SQLite would tell that of an earlier statement. */
const UNMARKED = -(2n ** 63n);

interface Entry {
  readonly definition: Definition;
  readonly statement: StatementSync;
  shape: Shape;
  /** It asks for the last inserted rowid itself, so ours must not hide it. */
  readonly asksForRowid: boolean;
}

class Stop extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export class Database {
  readonly #db: DatabaseSync;
  readonly #guard = new Guard();
  readonly #running: Int32Array;
  readonly #definitions: Definition[] = [];
  readonly #entries: (Entry | undefined)[] = [];
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #changes: StatementSync;
  readonly #mark: StatementSync | undefined;
  #lastRowid = 0n;

  /** @param running Kept at the id of the run at work, 0 for none. @throws SQLite's error when the file cannot be used. */
  constructor(settings: Settings, running: Int32Array) {
    this.#running = running;
    this.#db = openFile(settings);
    this.#begin = this.#db.prepare(settings.isWriter ? "BEGIN IMMEDIATE" : "BEGIN");
    this.#commit = this.#db.prepare("COMMIT");
    this.#rollback = this.#db.prepare("ROLLBACK");
    this.#changes = exact(this.#db.prepare("SELECT changes(), last_insert_rowid()"));
    if (settings.isWriter) {
      this.#db.exec(`CREATE TEMP TABLE ${MARK} (id INTEGER PRIMARY KEY)`);
      this.#mark = this.#db.prepare(`INSERT OR REPLACE INTO temp.${MARK} VALUES (?)`);
    }
    this.#db.setAuthorizer(this.#guard.authorize);
  }

  get isInTransaction(): boolean {
    return this.#db.isTransaction;
  }

  define(definition: Definition): void {
    this.#definitions[definition[0]] = definition;
    this.#entries[definition[0]] = undefined;
  }

  /** @returns A failure under `id`, else undefined. */
  begin(id: number): string | undefined {
    this.#running[0] = id; // it may wait long for another program's lock
    const failure = this.#control(this.#begin, id);
    this.#running[0] = 0;
    return failure;
  }

  /** @returns A failure under `id`, else undefined: then it is on the disk. */
  commit(id: number): string | undefined {
    return this.#control(this.#commit, id);
  }

  /** Nothing, when SQLite has done it by itself. */
  rollback(): void {
    if (this.isInTransaction) this.#control(this.#rollback, 0);
  }

  /**
   * Runs one statement; its failure is an outcome too.
   * @param index Of the statement in its batch, told in a failure.
   * @param onPiece Present: what is handed on in pieces; the outcome is then the last one.
   */
  run(run: Run, index = -1, onPiece?: OnPiece): Outcome {
    this.#running[0] = run[0];
    this.#guard.refusal = undefined;
    try {
      return { text: this.#attempt(run, onPiece), isFailed: false, isCut: false };
    } catch (error) {
      this.#entries[run[1]] = undefined; // node:sqlite would report this failure again at the next use
      const id = this.#running[0] ?? 0; // of the piece that was asked for last
      return { text: this.#failure(id, error, index), isFailed: true, isCut: error instanceof Stop };
    } finally {
      this.#guard.worker = "process";
      this.#running[0] = 0;
    }
  }

  /** Moves what the log holds into the file, if nobody else has it open. */
  close(): void {
    this.#db.close();
  }

  #attempt(run: Run, onPiece: OnPiece | undefined): string {
    const [id, slot, params] = run;
    const effect = this.#definitions[slot]?.[3] ?? Effect.none;
    this.#guard.worker = effect === Effect.vacuum ? "vacuum" : "caller";
    const entry = (this.#entries[slot] ??= this.#prepare(slot));
    const isMarked = effect === Effect.insert && !entry.asksForRowid && this.#mark !== undefined;
    if (isMarked) this.#setLastRowid(UNMARKED);
    const values = params.map(bind);
    if (entry.shape.width > 0) return this.#rows(run, entry, values, isMarked, onPiece);
    const { changes, lastInsertRowid } = entry.statement.run(...values);
    const affected = effect === Effect.change || effect === Effect.insert ? Number(changes) : 0;
    const lastInsertId = effect === Effect.insert ? this.#inserted(BigInt(lastInsertRowid), affected, isMarked) : "";
    return writeSuccess({ id, code: 0, count: 0, affected, lastInsertId, hasMore: false, columns: "[]", rows: "" });
  }

  #rows(run: Run, entry: Entry, values: SQLInputValue[], isMarked: boolean, onPiece: OnPiece | undefined): string {
    const [, , , flags, maxRows, maxBytes] = run;
    const effect = entry.definition[3];
    const int64AsString = (flags & Flag.int64AsString) !== 0;
    const isWanted = (flags & Flag.rows) !== 0;
    const areLines = (flags & Flag.lines) !== 0;
    const calls = this.#guard.calls;
    let count = 0;
    let rows = "";
    let first: readonly SQLOutputValue[] | undefined;
    for (const row of arrays(entry.statement, values)) {
      if (first === undefined) this.#refresh(entry, calls);
      first ??= row;
      count += 1;
      if (count > maxRows && maxRows >= 0) throw new Stop(Fault.tooManyRows, `${maxRows}`);
      if (!isWanted) continue;
      const text = entry.shape.row(row, int64AsString);
      rows += areLines ? `${text}\n` : count === 1 ? text : `,${text}`;
      refuseLarge(rows.length, onPiece === undefined ? maxBytes : -1);
      if (onPiece !== undefined && rows.length > PIECE_SIZE) {
        const id = onPiece(this.#success(entry, first, { count, rows, hasMore: true }));
        if (id === undefined) return "";
        this.#running[0] = id;
        rows = "";
      }
    }
    if (first === undefined) this.#refresh(entry, calls);
    if (maxBytes >= 0 && rows.length * 3 > maxBytes) refuseLarge(Buffer.byteLength(rows), maxBytes);
    if (effect === Effect.none) return this.#success(entry, first, { count, rows, affected: count });
    const [changes = 0n, rowid = 0n] = this.#changes.get() as unknown as [bigint, bigint]; // as `exact` has set it
    const affected = Number(changes);
    const lastInsertId = effect === Effect.insert ? this.#inserted(rowid, affected, isMarked) : "";
    return this.#success(entry, first, { count, rows, affected, lastInsertId });
  }

  /** SQLite has compiled the statement anew since `calls` were counted: the schema has changed, and perhaps the columns. */
  #refresh(entry: Entry, calls: number): void {
    if (this.#guard.calls !== calls) entry.shape = new Shape(entry.statement.columns());
  }

  #success(
    entry: Entry,
    first: readonly SQLOutputValue[] | undefined,
    given: { count: number; rows: string; affected?: number; lastInsertId?: string; hasMore?: boolean },
  ): string {
    const id = this.#running[0] ?? 0;
    const columns = entry.shape.columns(first);
    return writeSuccess({ id, code: 0, affected: 0, lastInsertId: "", hasMore: false, columns, ...given });
  }

  #prepare(slot: number): Entry {
    const definition = this.#definitions[slot];
    if (definition === undefined) throw new Error(`nothing stands in slot ${slot}`);
    const [, sql, end] = definition;
    this.#guard.asksForRowid = false;
    const statement = exact(this.#db.prepare(sql));
    if (statement.sourceSQL.length < end) {
      throw new Stop(Fault.secondStatement, "one statement at a time: there is a second one behind the first");
    }
    return { definition, statement, shape: new Shape(statement.columns()), asksForRowid: this.#guard.asksForRowid };
  }

  /** @returns The digits of the rowid that the statement inserted; empty when it inserted none. */
  #inserted(rowid: bigint, affected: number, isMarked: boolean): string {
    if (isMarked && rowid === UNMARKED) {
      this.#setLastRowid(this.#lastRowid); // as the caller's next statement would find it
      return "";
    }
    this.#lastRowid = rowid;
    return affected > 0 ? rowid.toString() : "";
  }

  #setLastRowid(rowid: bigint): void {
    const { worker } = this.#guard;
    this.#guard.worker = "process";
    this.#mark?.run(rowid);
    this.#guard.worker = worker;
  }

  #control(statement: StatementSync, id: number): string | undefined {
    try {
      statement.run();
      return undefined;
    } catch (error) {
      return this.#failure(id, error, -1);
    }
  }

  #failure(id: number, error: unknown, index: number): string {
    const { refusal } = this.#guard;
    if (refusal !== undefined) return writeFailure({ id, code: Fault.refused, message: refusal, index });
    const { errcode, message } = error as { errcode?: number; message: string }; // node:sqlite throws Errors, with errcode
    const code = error instanceof Stop ? error.code : (errcode ?? Fault.other);
    return writeFailure({ id, code, message, index });
  }
}

function openFile({ path, isWriter, busyTimeoutMs, isDurable }: Settings): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: !isWriter, timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  db.enableDefensive(true);
  if (isWriter) db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${isDurable ? "FULL" : "OFF"}`);
  db.exec("SELECT 1 FROM sqlite_schema LIMIT 1"); // opening alone reads nothing
  return db;
}

/** Rows as arrays, since two columns may have one name; every INTEGER as a bigint. */
function exact(statement: StatementSync): StatementSync {
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  return statement;
}

function arrays(statement: StatementSync, values: SQLInputValue[]): Iterable<readonly SQLOutputValue[]> {
  return statement.iterate(...values) as Iterable<unknown> as Iterable<readonly SQLOutputValue[]>; // as `exact` has set it
}

function bind(param: WireParam): SQLInputValue {
  if (typeof param === "number") return Number.isInteger(param) ? BigInt(param) : param;
  if (param === null || typeof param === "string") return param;
  const [text] = param;
  return /^-?\d+$/.test(text) ? BigInt(text) : Number(text);
}

function refuseLarge(size: number, maxBytes: number): void {
  const most = maxBytes < 0 ? LARGEST_TEXT : Math.min(maxBytes, LARGEST_TEXT);
  if (size > most) throw new Stop(Fault.tooManyBytes, `${most}`);
}
