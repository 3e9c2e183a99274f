/** Rows as they come, through a cursor: as many at a time as make a piece of some 64 KiB. */

import Cursor from "pg-cursor";
import type { QueryOptions, RowStream } from "../../backend.ts";
import { tooManyRows } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import type { Connections, Lease } from "./pool.ts";
import { RunError } from "./exchange.ts";
import { word } from "./transaction.ts";
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
  { signal, timeoutMs, maxRows = Infinity, int64 = "number" }: QueryOptions,
): Promise<RowStream> {
  const lease = await connections.lease();
  const stop = (): void => lease.cancel();
  const timer = timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs);
  signal.addEventListener("abort", stop);
  const end = (): void => {
    signal.removeEventListener("abort", stop);
    clearTimeout(timer);
    lease.release();
  };
  try {
    signal.throwIfAborted();
    const { values, plan } = await lease.session.describe(statement, int64);
    await lease.session.run([word("BEGIN"), word("SET LOCAL statement_timeout = 0")]);
    const cursor = lease.session.client.query(new Cursor<Row>(statement.sql, values, RAW));
    const first = await read(cursor, FIRST_ROWS);
    clearTimeout(timer); // it is the time to the first row: a slow reader is no slow statement
    const rows = new Rows(lease, cursor, plan, maxRows);
    rows.check(first.length);
    return { columns: plan.columns, lines: rows.lines(first, end), count: () => rows.count };
  } catch (error) {
    lease.cancel();
    end();
    throw signal.aborted ? signal.reason : translate(error instanceof RunError ? error.error : error);
  }
}

function read(cursor: Cursor<Row>, count: number): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    cursor.read(count, (error, rows) => {
      if (error)
        reject(error); // null or undefined when all is well
      else resolve(rows);
    });
  });
}

class Rows {
  count = 0;
  readonly #lease: Lease;
  readonly #cursor: Cursor<Row>;
  readonly #plan: RowPlan;
  readonly #maxRows: number;

  constructor(lease: Lease, cursor: Cursor<Row>, plan: RowPlan, maxRows: number) {
    this.#lease = lease;
    this.#cursor = cursor;
    this.#plan = plan;
    this.#maxRows = maxRows;
  }

  /** @throws PAYLOAD_TOO_LARGE when there are more than the caller wants. */
  check(more: number): void {
    if (this.count + more > this.#maxRows) throw tooManyRows(this.#maxRows);
  }

  async *lines(first: Row[], end: () => void): AsyncGenerator<Buffer> {
    let isComplete = false;
    try {
      let rows = first;
      while (rows.length > 0) {
        this.check(rows.length);
        const piece = Buffer.from(rows.map((row) => `${this.#plan.toJson(row)}\n`).join(""));
        this.count += rows.length;
        yield piece;
        const atOnce = Math.ceil((PIECE_BYTES * rows.length) / piece.length);
        rows = await read(this.#cursor, Math.min(MAX_ROWS_AT_ONCE, atOnce));
      }
      await this.#lease.session.run([word("COMMIT")]);
      isComplete = true;
    } catch (error) {
      throw translate(error);
    } finally {
      if (!isComplete) this.#lease.cancel();
      end();
    }
  }
}
