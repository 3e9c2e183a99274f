/** One connection: its prepared statements, and statements run on it. */

import type { EventEmitter } from "node:events";
import { MikcarError } from "@mikcar/core";
import type { PoolClient } from "pg";
import type { Affected, Int64, Isolation, Rows } from "../../backend.ts";
import { resultTooLarge, sqlError, sqlState } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import { Exchange, type OnRow, RunError, StepError, type StepResult } from "./exchange.ts";
import { encodeParams, hasArray } from "./params.ts";
import { type Prepared, PreparedStatements } from "./prepared.ts";
import { translate } from "./translate.ts";
import { type PgType, type TypeRow, Types, TYPES_QUERY } from "./types.ts";
import { type RowPlan, rowPlan } from "./values.ts";

/** A connection below its client: what `pg` has and its typings leave out. */
interface RawConnection {
  readonly stream: EventEmitter & { destroy(): void };
  on(event: "parameterDescription", listener: (message: { readonly dataTypeIDs: readonly number[] }) => void): void;
  on(event: "noData" | "bindComplete" | "parameterStatus", listener: () => void): void;
}

/** What all connections of a pool know together. */
export class Catalog {
  readonly types: Types = new Types();
  /** Grows when a statement may have changed the schema. */
  generation = 0;
}

/** A statement to run, or only words for the server, like BEGIN. */
export interface Request {
  /** The sidecar's word, not a caller's. */
  readonly isOwn?: boolean;
  readonly sql: string;
  readonly params: Statement["params"];
  readonly kind: string;
  readonly isRead?: boolean;
  /** Rows at most; 0 or undefined for all. */
  readonly limit?: number;
}

/**
 * What begins a transaction. One that only reads cannot become another: inside a savepoint Postgres refuses even as first
 * statement to make it so. https://www.postgresql.org/docs/current/sql-set-transaction.html
 */
export function beginning(isolation?: Isolation, isReadOnly = false): readonly Request[] {
  const level = isolation === undefined ? "" : ` ISOLATION LEVEL ${isolation.toUpperCase()}`;
  return isReadOnly ? [word(`BEGIN${level} READ ONLY`), word("SAVEPOINT mikcar_read_only")] : [word(`BEGIN${level}`)];
}

export interface Outcome {
  readonly prepared: Prepared;
  readonly result: StepResult;
}

/** What leaves the schema as it is; all else may change it. */
const SCHEMA_KEEPERS = new Set(
  "SELECT VALUES TABLE SHOW EXPLAIN INSERT UPDATE DELETE MERGE BEGIN COMMIT ROLLBACK SET NOTIFY ANALYZE VACUUM LOCK".split(
    " ",
  ),
);
/** What a plan older than the schema fails with before it runs: a value of another type, another name, a lost statement. */
const STALE = /^(?:22|42|0A000$|26000$)/;
/** Command tags of what a caller may not do, should a text have got past our reading of it. */
const FORBIDDEN =
  /^(?:BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE|DEALLOCATE|DISCARD|RESET|LISTEN|UNLISTEN|LOAD)/;

export class Session {
  readonly client: PoolClient;
  readonly #catalog: Catalog;
  readonly #statements = new PreparedStatements();
  #exchange: Exchange | undefined;
  /** The connection must not be used again: it is broken, or something has stayed on it. */
  isSpoiled = false;
  /** Why this side has ended the connection, if it has. */
  #reason: Error | undefined;

  constructor(client: PoolClient, catalog: Catalog) {
    this.client = client;
    this.#catalog = catalog;
    const { connection } = client as unknown as { readonly connection: RawConnection }; // not in the typings of a PoolClient
    connection.on("parameterDescription", ({ dataTypeIDs }) => this.#exchange?.handleParameterDescription(dataTypeIDs));
    connection.on("noData", () => this.#exchange?.handleNoData());
    connection.on("bindComplete", () => this.#exchange?.handleBindComplete());
    connection.on("parameterStatus", () => {
      this.isSpoiled = true; // a setting that clients must know of was changed by a call
    });
    client.on("error", () => {
      this.isSpoiled = true; // what runs on it fails with the same error
    });
    this.#guard(connection.stream);
  }

  /**
   * Runs all in one round trip, or in two when the types of an array parameter are not known yet.
   * @throws RunError for the first that failed; those behind it were not run.
   */
  async run(requests: readonly Request[], onRow?: OnRow): Promise<readonly Outcome[]> {
    const { generation } = this.#catalog;
    const prepared = requests.map(({ sql }) => this.#statements.get(sql, generation));
    const wereKnown = prepared.map(({ isKnown }) => isKnown);
    try {
      await this.#describeArrays(requests, prepared);
      const steps = requests.map(({ params, limit = 0 }, index) => {
        const one = prepared[index] as Prepared; // one for each request
        const types = one.paramTypes.map((oid) => this.#catalog.types.get(oid));
        return { prepared: one, values: encodeParams(params, types), limit };
      });
      const results = await this.#send(new Exchange(steps, this.#statements.takeForgotten(), onRow));
      if (requests.some(changesSchema)) this.#catalog.generation += 1;
      return results.map((result, index) => this.#checked(requests[index], prepared[index] as Prepared, result));
    } catch (thrown) {
      throw this.#failure(thrown, requests, wereKnown);
    } finally {
      this.#statements.trim(requests.map(({ sql }) => sql));
    }
  }

  #checked(request: Request | undefined, prepared: Prepared, result: StepResult): Outcome {
    if (request?.isOwn !== true && FORBIDDEN.test(result.tag ?? "")) {
      this.isSpoiled = true;
      throw sqlError(`${result.tag} is not possible here`, { sqlstate: "0A000" });
    }
    return { prepared, result };
  }

  #failure(thrown: unknown, requests: readonly Request[], wereKnown: readonly boolean[]): RunError {
    const { step, isBound } = thrown instanceof StepError ? thrown : { step: 0, isBound: true };
    const error = translate(this.#reason ?? thrown);
    if (error.code === "UNAVAILABLE") this.isSpoiled = true;
    const isStale = wereKnown[step] === true && !isBound && STALE.test(sqlState(error) ?? "");
    if (isStale) this.#statements.forget(requests[step]?.sql ?? "");
    return new RunError(step, error, isStale);
  }

  /** What `pg` cannot read, such as a value longer than a string can be, ends the connection and not the process. */
  #guard(stream: RawConnection["stream"]): void {
    const listeners = stream.listeners("data");
    stream.removeAllListeners("data");
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const listener of listeners) (listener as (chunk: Buffer) => void)(chunk);
      } catch (error) {
        this.#reason = new MikcarError("PAYLOAD_TOO_LARGE", "the database's answer is too large to read", {
          cause: error,
        });
        stream.destroy();
      }
    });
  }

  /** The rows of an outcome as JSON; asks the server for types it does not know. */
  async rows({ prepared, result }: Outcome, int64: Int64, maxBytes = Infinity): Promise<Rows> {
    if (result.tag === "") throw emptyStatement();
    const plan = prepared.plans[int64] ?? (await this.#plan(prepared, int64));
    const json = result.rows.map((row) => plan.toJson(row)).join(",");
    if (json.length > maxBytes) throw resultTooLarge(maxBytes);
    return { columns: plan.columns, json, count: result.rows.length, affected: countOf(result.tag) };
  }

  /** What a statement takes and gives, without running it. */
  async describe(
    { sql, params }: Pick<Statement, "sql" | "params">,
    int64: Int64,
  ): Promise<{ values: (string | null)[]; plan: RowPlan }> {
    this.#statements.forget(sql); // a cursor has its own plan: this one must not be older
    const prepared = this.#statements.get(sql, this.#catalog.generation);
    await this.#send(new Exchange([{ prepared, values: undefined, limit: 0 }], []));
    const types = hasArray(params) ? await this.#typesOf(prepared.paramTypes) : [];
    return { values: encodeParams(params, types), plan: await this.#plan(prepared, int64) };
  }

  async #plan(prepared: Prepared, int64: Int64): Promise<RowPlan> {
    const types = await this.#typesOf(prepared.fields.map(({ dataTypeID }) => dataTypeID));
    return (prepared.plans[int64] ??= rowPlan(prepared.fields, types, int64));
  }

  async #describeArrays(requests: readonly Request[], prepared: readonly Prepared[]): Promise<void> {
    const withArrays = prepared.filter((_one, index) => hasArray(requests[index]?.params ?? []));
    if (withArrays.length === 0) return;
    const steps = withArrays
      .filter(({ isKnown }) => !isKnown)
      .map((one) => ({ prepared: one, values: undefined, limit: 0 }));
    if (steps.length > 0) await this.#send(new Exchange(steps, []));
    await this.#typesOf(withArrays.flatMap(({ paramTypes }) => paramTypes));
  }

  async #typesOf(oids: readonly number[]): Promise<(PgType | undefined)[]> {
    const { types } = this.#catalog;
    const unknown = types.unknown(oids);
    if (unknown.length > 0) {
      const prepared = this.#statements.get(TYPES_QUERY, this.#catalog.generation);
      const step = { prepared, values: [`{${unknown.join(",")}}`], limit: 0 };
      const [result] = await this.#send(new Exchange([step], []));
      types.learn((result?.rows ?? []).map(typeRow));
    }
    return oids.map((oid) => types.get(oid));
  }

  /** @throws StepError. */
  #send(exchange: Exchange): Promise<readonly StepResult[]> {
    this.#exchange = exchange;
    this.client.query(exchange);
    return exchange.done;
  }
}

/** @throws SQL_ERROR for a text without a statement. */
export function affectedOf({ result }: Outcome): Affected {
  if (result.tag === "") throw emptyStatement();
  return { affected: countOf(result.tag) };
}

/** Words for the server that are no statement of a caller. */
export function word(sql: string): Request {
  return { isOwn: true, sql, params: [], kind: /^\w+/.exec(sql)?.[0] ?? "" };
}

function emptyStatement(): Error {
  return sqlError("the text has no statement in it", { sqlstate: "42601" });
}

/** `INSERT 0 5` is 5, `CREATE TABLE` 0. */
function countOf(tag: string | undefined): number {
  return Number(/\d+$/.exec(tag ?? "")?.[0] ?? 0);
}

function changesSchema({ kind, isRead }: Request): boolean {
  return !SCHEMA_KEEPERS.has(kind) || (kind === "SELECT" && isRead === false); // SELECT … INTO
}

function typeRow(row: readonly (string | null)[]): TypeRow {
  const [oid, name, element, base, delimiter] = row;
  return {
    oid: Number(oid),
    name: name ?? "",
    element: Number(element),
    base: Number(base),
    delimiter: delimiter ?? ",",
  };
}
