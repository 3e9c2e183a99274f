/** Rows as they come, through a cursor: as many at a time as make a piece of some 64 KiB. */

import Cursor from "pg-cursor";
import type { Column, Int64, QueryOptions, RowStream } from "../../backend.ts";
import { tooManyRows } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import { type Connections, type Lease, outOfTime } from "./pool.ts";
import { beginning, word } from "./session.ts";
import { translate } from "./translate.ts";
import type { RowPlan } from "./values.ts";

const PIECE_BYTES = 64 * 1024;
const FIRST_ROWS = 100;
const MAX_ROWS_AT_ONCE = 5000;

type Row = (string | null)[];
/** Values stay the text that the server sent. */
const RAW = { rowMode: "array", types: { getTypeParser: () => (text: string) => text } } as const;

/** Opens the cursor inside a transaction of its own, which ends with the last row. Errors as `SqlBackend.stream`. */
export async function openStream(
  connections: Connections,
  statement: Statement,
  { signal, timeoutMs, maxRows = Infinity, int64 = "number", readOnly = false }: QueryOptions,
): Promise<RowStream> {
  const lease = await connections.leaseForStream(signal);
  if (statement.isSpoiling) lease.session.isSpoiled = true;
  const rows = new Rows(lease, signal, timeoutMs, maxRows);
  await rows.open(statement, int64, readOnly);
  return rows;
}

class Rows implements RowStream, AsyncIterator<Buffer> {
  columns: readonly Column[] = [];
  readonly lines: AsyncIterable<Buffer> = { [Symbol.asyncIterator]: () => this };
  #count = 0;
  /** Read, and not given yet. */
  #rows: Row[] | undefined;
  /** Of the next read: as many as make a piece. */
  #atOnce = FIRST_ROWS;
  #cursor: Cursor<Row> | undefined;
  #plan: RowPlan | undefined;
  #isOver = false;
  #isLate = false;
  readonly #lease: Lease;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number | undefined;
  readonly #maxRows: number;

  constructor(lease: Lease, signal: AbortSignal, timeoutMs: number | undefined, maxRows: number) {
    this.#lease = lease;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs;
    this.#maxRows = maxRows;
    signal.addEventListener("abort", this.#cancel);
  }

  count(): number {
    return this.#count;
  }

  /** Reads the first rows. */
  open({ sql, params }: Statement, int64: Int64, isReadOnly: boolean): Promise<void> {
    const { session } = this.#lease;
    return this.#guarded(async () => {
      const { values, plan } = await session.describe({ sql, params }, int64);
      this.#plan = plan;
      this.columns = plan.columns;
      await session.run([...beginning(undefined, isReadOnly), word("SET LOCAL statement_timeout = 0")]);
      this.#cursor = session.client.query(new Cursor<Row>(sql, values, RAW));
      this.#rows = await this.#read(this.#cursor);
    });
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    const [cursor, plan] = [this.#cursor, this.#plan];
    if (this.#isOver || cursor === undefined || plan === undefined) return { done: true, value: undefined };
    const rows = this.#rows ?? (await this.#guarded(() => this.#read(cursor)));
    this.#rows = undefined;
    if (rows.length === 0) {
      await this.#guarded(() => this.#lease.session.run([word("COMMIT")]));
      this.#end();
      return { done: true, value: undefined };
    }
    const piece = Buffer.from(rows.map((row) => `${plan.toJson(row)}\n`).join(""));
    this.#count += rows.length;
    this.#atOnce = Math.min(MAX_ROWS_AT_ONCE, Math.ceil((PIECE_BYTES * rows.length) / piece.length));
    return { done: false, value: piece };
  }

  /** Whoever stops early leaves a cursor open: the connection ends with it. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    if (!this.#isOver) this.#cancel();
    this.#end();
    return { done: true, value: undefined };
  }

  async #read(cursor: Cursor<Row>): Promise<Row[]> {
    const rows = await new Promise<Row[]>((resolve, reject) => {
      cursor.read(this.#atOnce, (error, some) => {
        if (error)
          reject(error); // null or undefined when all is well
        else resolve(some);
      });
    });
    if (this.#count + rows.length > this.#maxRows) throw tooManyRows(this.#maxRows);
    return rows;
  }

  /** Ends all when `work` fails or takes longer than the caller wants. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    const timer = this.#timeoutMs === undefined ? undefined : setTimeout(this.#late, this.#timeoutMs);
    try {
      this.#signal.throwIfAborted();
      return await work();
    } catch (error) {
      this.#cancel();
      this.#end();
      if (this.#signal.aborted) throw this.#signal.reason;
      throw this.#isLate ? outOfTime(this.#timeoutMs ?? 0) : translate(error);
    } finally {
      clearTimeout(timer);
    }
  }

  readonly #late = (): void => {
    this.#isLate = true;
    this.#cancel();
  };

  readonly #cancel = (): void => this.#lease.cancel();

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#cancel);
    this.#lease.release();
  }
}
