/**
 * Statements that go to the server together and are answered together: one round trip, however many. The extended query
 * protocol allows it, `pg`'s own queries do not use it.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

import type { Connection, DatabaseError, Submittable } from "pg";
import { type Execution, executionMessages } from "./messages.ts";
import type { Prepared } from "./prepared.ts";
import type { Field } from "./values.ts";

export interface Step {
  readonly prepared: Prepared;
  /** Undefined: it is only prepared and described. */
  readonly values: readonly (string | null)[] | undefined;
  /** Rows at most; 0 for all. */
  readonly limit: number;
}

export interface StepResult {
  /** In the order of the fields that the statement was described with. */
  readonly rows: (readonly (string | null)[])[];
  /** Also of those that were not kept. */
  count: number;
  /** About what the rows have as JSON. */
  sizeBytes: number;
  /** The command tag, `INSERT 0 1`; undefined when there is more than the limit. */
  tag: string | undefined;
}

/** Called with a result while it grows. */
export type OnRow = (result: StepResult) => void;

/** For results of which only the number of rows is wanted. */
export const keepNoRows: OnRow = ({ rows }) => {
  rows.length = 0;
};

/** The messages this makes that the typings of `pg` do not have. */
interface Wire {
  parse(message: { name: string; text: string; types: readonly number[] }): void;
  describe(message: { type: "S"; name: string }): void;
  bind(message: { statement: string; values: readonly (string | null)[] }): void;
  execute(message: { portal: string; rows: number }): void;
  close(message: { type: "S"; name: string }): void;
  sync(): void;
  sendCopyFail(reason: string): void;
  on(event: "readyForQuery" | "end", listener: () => void): void;
  off(event: "readyForQuery" | "end", listener: () => void): void;
  readonly stream: { cork(): void; uncork(): void; write(bytes: Buffer): void };
}

/** The step at which an exchange failed: all before it were done, none behind it. */
export class StepError extends Error {
  readonly step: number;
  /** It had its parameters and may have begun to run. */
  readonly isBound: boolean;

  constructor(step: number, isBound: boolean, cause: unknown) {
    super("a statement failed", { cause });
    this.step = step;
    this.isBound = isBound;
  }
}

/** A failure, and which request it was. */
export class RunError extends Error {
  readonly step: number;
  readonly error: Error;
  /** It may succeed when it is run again: its plan was older than the schema, and is forgotten now. */
  readonly isStale: boolean;

  constructor(step: number, error: Error, isStale: boolean) {
    super(error.message, { cause: error });
    this.step = step;
    this.error = error;
    this.isStale = isStale;
  }
}

export class Exchange implements Submittable {
  readonly done: Promise<readonly StepResult[]>;
  readonly #steps: readonly Step[];
  readonly #closed: readonly string[];
  readonly #onRow: OnRow | undefined;
  readonly #results: StepResult[] = [];
  readonly #settle = Promise.withResolvers<readonly StepResult[]>();
  /** Those this exchange prepares, in the order of the server's answers. */
  readonly #described: Prepared[] = [];
  #describedAt = 0;
  #at = 0;
  #isBound = false;
  /** What each row has in JSON beside its values. */
  #overhead = 0;
  #current: StepResult = emptyResult();

  /** @param closed Names of prepared statements to give up on the way. */
  constructor(steps: readonly Step[], closed: readonly string[], onRow?: OnRow) {
    this.#steps = steps;
    this.#closed = closed;
    this.#onRow = onRow;
    this.done = this.#settle.promise;
  }

  submit(connection: Connection): void {
    const wire = connection as unknown as Wire; // see there
    const known = this.#closed.length === 0 ? executions(this.#steps) : undefined;
    if (known !== undefined) wire.stream.write(executionMessages(known));
    else this.#prepare(wire);
  }

  #prepare(wire: Wire): void {
    wire.stream.cork();
    for (const name of this.#closed) wire.close({ type: "S", name });
    for (const { prepared, values, limit } of this.#steps) {
      if (!prepared.isKnown && !this.#described.includes(prepared)) {
        this.#described.push(prepared);
        wire.parse({ name: prepared.name, text: prepared.text, types: [] });
        wire.describe({ type: "S", name: prepared.name });
      }
      if (values === undefined) continue;
      wire.bind({ statement: prepared.name, values });
      wire.execute({ portal: "", rows: limit });
    }
    wire.sync();
    wire.stream.uncork();
  }

  handleParameterDescription(types: readonly number[]): void {
    const prepared = this.#described[this.#describedAt];
    if (prepared === undefined) return;
    prepared.isKnown = true; // it outlives a rollback of the transaction it was prepared in
    prepared.paramTypes = types;
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#describe(fields);
  }

  handleNoData(): void {
    this.#describe([]);
  }

  handleBindComplete(): void {
    this.#isBound = true;
    this.#overhead = overheadOf(this.#steps[this.#at]?.prepared.fields ?? []);
  }

  handleDataRow({ fields, length }: { readonly fields: readonly (string | null)[]; readonly length: number }): void {
    this.#current.rows.push(fields);
    this.#current.count += 1;
    this.#current.sizeBytes += length + this.#overhead;
    this.#onRow?.(this.#current);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#current.tag = text;
    this.#next();
  }

  handlePortalSuspended(): void {
    this.#next();
  }

  handleEmptyQuery(): void {
    this.#current.tag = "";
    this.#next();
  }

  handleCopyInResponse(connection: Connection): void {
    (connection as unknown as Wire).sendCopyFail("COPY is not possible here");
  }

  handleCopyData(): void {
    // COPY is refused before it comes here; what a function of the server sends this way has no reader
  }

  handleReadyForQuery(): void {
    this.#settle.resolve(this.#results);
  }

  /** `pg` takes this exchange off the connection then, so the end of the server's answer is waited for here. */
  handleError(error: Error | DatabaseError, connection?: Connection): void {
    const failed = new StepError(this.#at, this.#isBound, error);
    const isFromServer = "severity" in error && (error as DatabaseError).severity !== "FATAL";
    if (!isFromServer || connection === undefined) return this.#settle.reject(failed);
    const wire = connection as unknown as Wire;
    const settle = (): void => {
      wire.off("readyForQuery", settle);
      wire.off("end", settle);
      this.#settle.reject(failed);
    };
    wire.on("readyForQuery", settle);
    wire.on("end", settle);
  }

  #describe(fields: readonly Field[]): void {
    const prepared = this.#described[this.#describedAt];
    if (prepared === undefined) return;
    prepared.fields = fields;
    this.#describedAt += 1;
  }

  #next(): void {
    this.#results.push(this.#current);
    this.#current = emptyResult();
    this.#at += 1;
    this.#isBound = false;
  }
}

/** Names with their quotes and colons; the values are counted as they come. */
function overheadOf(fields: readonly Field[]): number {
  return fields.reduce((size, { name }) => size + name.length + 4, 2);
}

/** The steps as executions, when all are prepared and none is only to be described. */
function executions(steps: readonly Step[]): Execution[] | undefined {
  const found: Execution[] = [];
  for (const { prepared, values, limit } of steps) {
    if (!prepared.isKnown || values === undefined) return undefined;
    found.push({ name: prepared.name, values, limit });
  }
  return found;
}

function emptyResult(): StepResult {
  return { rows: [], count: 0, sizeBytes: 0, tag: undefined };
}
