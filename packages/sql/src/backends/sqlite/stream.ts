/** Results that leave line by line. */

import type { RowStream } from "../../backend.ts";
import type { Pieces } from "./readers.ts";
import { columnsOf } from "./result.ts";
import type { Text } from "./text.ts";
import type { Success } from "./wire.ts";

const PIECE_BYTES = 64 * 1024;

/** Of a write, whose rows are all there: SQLite makes them all before it gives the first. */
export function streamOf(success: Success, text: Text): RowStream {
  return { columns: columnsOf(success, text), lines: cut(success), count: () => success.count };
}

async function* cut({ rows }: Success): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(rows);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** Of a read, which goes on only as the lines are taken. @param timeoutMs For each piece. */
export function streamOfPieces(pieces: Pieces, text: Text, timeoutMs: number | undefined): RowStream {
  let piece = pieces.first;
  let isFresh = true;
  const end = (): IteratorResult<Buffer, undefined> => {
    pieces.stop();
    return { done: true, value: undefined };
  };
  const next = async (): Promise<IteratorResult<Buffer, undefined>> => {
    while (!isFresh || piece.rows === "") {
      if (!piece.hasMore) return end();
      piece = await pieces.next(timeoutMs);
      isFresh = true;
    }
    isFresh = false;
    return { done: false, value: Buffer.from(piece.rows) };
  };
  // Not a generator: one that is given up before its first piece would never come to its end.
  const lines = { [Symbol.asyncIterator]: () => ({ next, return: async () => end() }) };
  return { columns: columnsOf(piece, text), lines, count: () => piece.count };
}
