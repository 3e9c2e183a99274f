/** One connection: its prepared statements, and statements run on it. */

import type { Connection, PoolClient } from "pg";
import type { Affected, Int64, Rows } from "../../backend.ts";
import { sqlError } from "../../errors.ts";
import type { Statement } from "../../statement.ts";
import { Exchange, type OnRow, RunError, StepError, type StepResult } from "./exchange.ts";
import { encodeParams, hasArray } from "./params.ts";
import { type Prepared, PreparedStatements } from "./prepared.ts";
import { translate } from "./translate.ts";
import { type PgType, type TypeRow, Types, TYPES_QUERY } from "./types.ts";
import { type RowPlan, rowPlan } from "./values.ts";

/** What all connections of a pool know together. */
export class Catalog {
  readonly types: Types = new Types();
  /** Grows when a statement may have changed the schema. */
  generation = 0;
}

/** A statement to run, or only words for the server, like BEGIN. */
export interface Request {
  readonly sql: string;
  readonly params: Statement["params"];
  readonly kind: string;
  /** Rows at most; 0 or undefined for all. */
  readonly limit?: number;
}

export interface Outcome {
  readonly prepared: Prepared;
  readonly result: StepResult;
}

const SCHEMA_KEEPERS = new Set("SELECT VALUES TABLE SHOW EXPLAIN INSERT UPDATE DELETE MERGE".split(" "));
const WORDS = new Set(["BEGIN", "COMMIT", "ROLLBACK", "SET"]);
/** What a plan that is older than the schema fails with: classes 22 (data) and 42 (names and types), and two of its own. */
const STALE = /^(?:22|42|0A000$|26000$)/;

export class Session {
  readonly client: PoolClient;
  readonly #catalog: Catalog;
  readonly #statements = new PreparedStatements();
  #exchange: Exchange | undefined;
  /** The server has ended it, or is about to. */
  isLost = false;

  constructor(client: PoolClient, catalog: Catalog) {
    this.client = client;
    this.#catalog = catalog;
    const { connection } = client as unknown as { readonly connection: Connection }; // not in the typings of a PoolClient
    connection.on("parameterDescription", ({ dataTypeIDs }: { dataTypeIDs: readonly number[] }) =>
      this.#exchange?.handleParameterDescription(dataTypeIDs),
    );
    connection.on("noData", () => this.#exchange?.handleNoData());
    client.on("error", () => {
      this.isLost = true; // what runs on it fails with the same error
    });
  }

  /**
   * Runs all in one round trip, or in two when the types of an array parameter are not known yet.
   * @throws The error of the first that failed, with `failedAt`; those behind it were not run.
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
      if (requests.some(({ kind }) => !SCHEMA_KEEPERS.has(kind) && !WORDS.has(kind))) this.#catalog.generation += 1;
      return results.map((result, index) => ({ prepared: prepared[index] as Prepared, result }));
    } catch (thrown) {
      const step = thrown instanceof StepError ? thrown.step : 0;
      const error = translate(thrown instanceof StepError ? thrown.cause : thrown);
      if (error.code === "UNAVAILABLE") this.isLost = true;
      const sqlstate = (error.details as { sqlstate?: string } | undefined)?.sqlstate ?? ""; // as sqlError makes them
      const isStale = wereKnown[step] === true && STALE.test(sqlstate);
      if (STALE.test(sqlstate)) this.#statements.forget(requests[step]?.sql ?? "");
      throw new RunError(step, error, isStale);
    }
  }

  /** The rows of an outcome as JSON; asks the server for types it does not know. */
  async rows({ prepared, result }: Outcome, int64: Int64): Promise<Rows> {
    if (result.tag === "") throw emptyStatement();
    const plan = prepared.plans[int64] ?? (await this.#plan(prepared, int64));
    const json = result.rows.map((row) => plan.toJson(row)).join(",");
    return { columns: plan.columns, json, count: result.rows.length, affected: countOf(result.tag) };
  }

  /** What a statement takes and gives, without running it. */
  async describe(
    { sql, params }: Pick<Statement, "sql" | "params">,
    int64: Int64,
  ): Promise<{ values: (string | null)[]; plan: RowPlan }> {
    const prepared = this.#statements.get(sql, this.#catalog.generation);
    if (!prepared.isKnown) await this.#send(new Exchange([{ prepared, values: undefined, limit: 0 }], []));
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

function emptyStatement(): Error {
  return sqlError("the text has no statement in it", { sqlstate: "42601" });
}

/** `INSERT 0 5` is 5, `CREATE TABLE` 0. */
function countOf(tag: string | undefined): number {
  return Number(/\d+$/.exec(tag ?? "")?.[0] ?? 0);
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
