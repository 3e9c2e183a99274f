/** The sql routes; see `docs/contract.md`, section 5. */

import { type Call, exactInteger, MikcarError, type Reply, type Routes } from "@mikcar/core";
import { audited, auditedStream } from "./audit.ts";
import type { Affected, CallOptions, QueryOptions, Rows } from "./backend.ts";
import type { Database } from "./database.ts";
import * as schemas from "./schemas.ts";
import { spec } from "./spec.ts";
import { type Statement, statement } from "./statement.ts";
import type { Dialect } from "./tokens.ts";
import { sqlError, sqlState } from "./errors.ts";

// prettier-ignore
export const routes: Routes<Database> = [
  ["POST", "/query",   query,   spec.query],
  ["POST", "/execute", execute, spec.execute],
  ["POST", "/batch",   batch,   spec.batch],
  ["POST", "/script",  script,  spec.script],
];

const JSON_TYPE = { "Content-Type": "application/json" };
const LOCAL_ONLY =
  "what SET LOCAL and CREATE TEMP make is gone when the call is over; use them in /sql/batch or /sql/script";
/** SQLSTATE of a change in a transaction that only reads. */
const READ_ONLY = "25006";
const NDJSON = "application/x-ndjson";
/** Of an answer that is put together in memory. */
const MAX_RESULT_BYTES = 64 * 1024 * 1024;

async function query({ backend }: Database, call: Call): Promise<Reply> {
  const { sql, params, timeout_ms, max_rows, int64 } = await call.json(schemas.queryBody);
  const asked = single(statement(sql, params, backend.dialect), backend.dialect);
  const options: QueryOptions = { ...common(call), timeoutMs: timeout_ms, maxRows: max_rows, int64 };
  if (acceptsNdjson(call)) {
    const lines = await explained(call, auditedStream(call, "query", asked, backend.stream(asked, options)));
    return { headers: { "Content-Type": NDJSON }, body: lines };
  }
  const limited = { ...options, maxBytes: MAX_RESULT_BYTES };
  const done = audited(call, "query", asked, backend.query(asked, limited), ({ count }) => count);
  const rows = await explained(call, done);
  return { headers: JSON_TYPE, body: rowsText(rows) };
}

async function execute({ backend }: Database, call: Call): Promise<Reply> {
  const { sql, params, timeout_ms } = await call.json(schemas.executeBody);
  const asked = single(statement(sql, params, backend.dialect), backend.dialect);
  const done = backend.execute(asked, { ...common(call), timeoutMs: timeout_ms });
  return {
    body: affectedBody(
      await explained(
        call,
        audited(call, "execute", asked, done, ({ affected }) => affected),
      ),
    ),
  };
}

async function batch({ backend }: Database, call: Call): Promise<Reply> {
  const { statements, timeout_ms, isolation } = await call.json(schemas.batchBody);
  const asked = statements.map(({ sql, params }) => statement(sql, params, backend.dialect));
  asked.forEach((one, index) => {
    if (one.refusal !== undefined) throw sqlError(one.refusal.message, { ...one.refusal, statement: index });
  });
  const done = backend.batch(asked, { ...common(call), timeoutMs: timeout_ms, isolation });
  asked.forEach((one, index) => {
    // The line of each; the failure itself is thrown below.
    audited(call, "batch", one, done, (results) => results[index]?.affected ?? 0).catch(() => undefined);
  });
  const results = await explained(call, done);
  return {
    body: {
      status: "ok",
      statements_executed: results.length,
      total_rows_affected: results.reduce((sum, { affected }) => sum + affected, 0),
      results: results.map(affectedBody),
    },
  };
}

async function script({ scripts }: Database, call: Call): Promise<Reply> {
  const { script: source, input, isolation } = await call.json(schemas.scriptBody);
  const { result, queries } = await explained(call, scripts.run({ source, input, isolation }, call));
  return { headers: JSON_TYPE, body: `{"result":${result},"queries_executed":${queries}}` };
}

function common({ signal, canWrite }: Call): Pick<CallOptions, "signal" | "readOnly"> {
  return canWrite ? { signal } : { signal, readOnly: true };
}

/** To a caller whose token only reads, the database's refusal of a change is one of the token. @throws FORBIDDEN */
async function explained<T>({ canWrite }: Call, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (canWrite || sqlState(error) !== READ_ONLY) throw error;
    throw new MikcarError("FORBIDDEN", "this token only reads, and the statement would change something", {
      details: (error as MikcarError).details, // it has an sqlstate, so it is one of ours
      cause: error,
    });
  }
}

/** A statement on its own; what only means something inside a transaction is refused as well. */
function single(one: Statement, dialect: Dialect): Statement {
  if (one.refusal !== undefined) throw sqlError(one.refusal.message, one.refusal);
  if (dialect === "postgres" && (one.kind === "SET" || one.isTemporary))
    throw sqlError(LOCAL_ONLY, { sqlstate: "0A000" });
  return one;
}

function acceptsNdjson({ headers }: Call): boolean {
  return headers.accept?.includes(NDJSON) === true;
}

function rowsText({ json, count, columns }: Rows): string {
  return `{"rows":[${json}],"row_count":${count},"columns":${JSON.stringify(columns)}}`;
}

function affectedBody({ affected, lastInsertId }: Affected): Record<string, unknown> {
  return {
    rows_affected: affected,
    ...(lastInsertId === undefined ? {} : { last_insert_id: exactInteger(lastInsertId) }),
  };
}
