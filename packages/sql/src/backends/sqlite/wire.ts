/**
 * What travels between the sidecar and its SQLite processes. Requests are JSON arrays; answers are text whose rows stand
 * as they are, so that nobody quotes them twice. Imports nothing: the processes stay small.
 */

/** What a statement is, for the numbers it reports. */
export const Effect = { none: 0, change: 1, insert: 2, vacuum: 3 } as const;
export type Effect = (typeof Effect)[keyof typeof Effect];

/** Puts a text into one of the process's slots. `end`: where its last word ends; what SQLite leaves before it is a second statement. */
export type Definition = readonly [slot: number, sql: string, end: number, effect: Effect];

/** As SQLite binds them: an integral number is an INTEGER, any other a REAL; a list holds what JSON numbers cannot: digits, or an infinity. */
export type WireParam = null | number | string | readonly [string];

export const Flag = { int64AsString: 1, lines: 2, rows: 4 } as const;

/** One execution. `maxRows`, `maxBytes`: -1 for no limit. */
export type Run = readonly [
  id: number,
  slot: number,
  params: readonly WireParam[],
  flags: number,
  maxRows: number,
  maxBytes: number,
];

export type Request =
  /** Each by itself, in order. */
  | readonly ["read", readonly Definition[], readonly Run[]]
  /** Each by itself, but committed together; asks before it commits. */
  | readonly ["group", readonly Definition[], readonly Run[]]
  /** All or nothing, under one id; asks before it commits. */
  | readonly ["batch", readonly Definition[], readonly Run[]]
  /** Outside of a transaction. */
  | readonly ["alone", readonly Definition[], readonly Run[]]
  /** One piece, then each time another on "more", until "stop" or the end. */
  | readonly ["stream", readonly Definition[], readonly Run[]]
  | readonly ["more", id: number]
  | readonly ["stop"]
  /** One statement of a transaction that stays open; the first opens it. */
  | readonly ["step", readonly Definition[], readonly Run[], isFirst: boolean]
  | readonly ["end", id: number, isCommit: boolean]
  /** To the question whether it may commit: the ids to leave out. None: yes. */
  | readonly ["verdict", without: readonly number[]]
  | readonly ["quit"];

/** Codes beside SQLite's own, which are above 0. With the limits the message is the number that was passed. */
export const Fault = { refused: -1, secondStatement: -2, tooManyRows: -3, tooManyBytes: -4, other: -5 } as const;

export interface Failure {
  readonly id: number;
  /** SQLite's extended result code, or one of `Fault`. */
  readonly code: number;
  readonly message: string;
  /** Of the statement in a batch; -1: of no single one. */
  readonly index: number;
}

export interface Success {
  readonly id: number;
  readonly code: 0;
  readonly count: number;
  readonly affected: number;
  /** Digits; empty: none. */
  readonly lastInsertId: string;
  /** A stream that waits for "more". */
  readonly hasMore: boolean;
  /** JSON: [[name, type], …]. */
  readonly columns: string;
  /** Rows with commas between, or as lines; for a batch [[affected, lastInsertId], …]. */
  readonly rows: string;
}

export type Answer = Success | Failure;

export function isFailure(answer: Answer): answer is Failure {
  return answer.code !== 0;
}

/** The first character of a frame that a process sends. */
export const Kind = { hello: "H", answers: "A", mayCommit: "C", broken: "!" } as const;

export function writeSuccess({ id, count, affected, lastInsertId, hasMore, columns, rows }: Success): string {
  return `[${id},0,${count},${affected},"${lastInsertId}",${hasMore ? 1 : 0},${columns.length},${rows.length}]\n${columns}${rows}`;
}

export function writeFailure({ id, code, message, index }: Failure): string {
  return `${JSON.stringify([id, code, message, index])}\n`;
}

/** Reads what `writeSuccess` and `writeFailure` wrote, one behind the other. @param from Where the first begins. */
export function readAnswers(frame: string, from: number, onAnswer: (answer: Answer) => void): void {
  let at = from;
  while (at < frame.length) {
    const start = frame.indexOf("\n", at) + 1;
    const [id, code, ...rest] = JSON.parse(frame.slice(at, start)) as [number, number, ...unknown[]]; // of our own writing
    if (code !== 0) {
      const [message, index] = rest as [string, number];
      onAnswer({ id, code, message, index });
      at = start;
      continue;
    }
    const [count, affected, lastInsertId, more, columnsSize, rowsSize] = rest as [
      number,
      number,
      string,
      number,
      number,
      number,
    ];
    const middle = start + columnsSize;
    at = middle + rowsSize;
    onAnswer({
      id,
      code: 0,
      count,
      affected,
      lastInsertId,
      hasMore: more === 1,
      columns: frame.slice(start, middle),
      rows: frame.slice(middle, at),
    });
  }
}
