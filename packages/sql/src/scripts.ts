/** Scripts as transactions: each runs in the sandbox, and again when it lost to another transaction. */

import { type Call, type Gauge, MikcarError } from "@mikcar/core";
import { audited } from "./audit.ts";
import type { Isolation, SqlBackend, Transaction } from "./backend.ts";
import { isRetryable, isStale, sqlError, sqlState } from "./errors.ts";
import { Contention } from "./contention.ts";
import type { ScriptEngine, ScriptLine } from "./script/engine.ts";
import { Slots } from "./slots.ts";
import { type Statement, statement } from "./statement.ts";
import * as schemas from "./schemas.ts";
import { stringifyExact } from "./json.ts";

export interface ScriptLimits {
  /** Wall clock of a script with all its runs, waiting in SQL included. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** Statements of one run. */
  readonly maxQueries: number;
  /** Scripts that run at once; more wait. */
  readonly concurrency: number;
}

export interface ScriptRequest {
  readonly source: string;
  readonly input: unknown;
  /** Undefined: serializable. */
  readonly isolation: Isolation | undefined;
}

export interface ScriptOutcome {
  /** JSON text. */
  readonly result: string;
  /** Statements of the run that was committed. */
  readonly queries: number;
}

/** Scripts that wait for one of the two. */
const MAX_WAITING = 1000;
/** What a statement may give to a script at most: the script holds it in its own memory. */
const MAX_RESULT_BYTES = 16 * 1024 * 1024;

export class Scripts {
  readonly #backend: SqlBackend;
  readonly #limits: ScriptLimits;
  #engine: Promise<ScriptEngine> | undefined;
  #isClosed = false;
  readonly #contention = new Contention();
  /** Where scripts run side by side. */
  readonly #slots: Slots;
  /** Where one runs alone, after it or its like has lost. */
  readonly #lane = new Slots(1, MAX_WAITING);

  constructor(backend: SqlBackend, limits: ScriptLimits) {
    this.#backend = backend;
    this.#limits = limits;
    this.#slots = new Slots(limits.concurrency, MAX_WAITING);
  }

  /**
   * Runs a script until it is committed. One that lost to another transaction runs again, then with no other one beside it;
   * so do new runs of its text for a while.
   * @throws SCRIPT_ERROR, SCRIPT_TIMEOUT, SCRIPT_MEMORY; what its failed statement was refused with; CONFLICT when its
   * time was up before it could win; UNAVAILABLE when too many scripts wait.
   */
  async run(request: ScriptRequest, call: Call): Promise<ScriptOutcome> {
    const input = stringifyExact(request.input);
    const deadline = { leftMs: this.#limits.timeoutMs };
    const attempt = async (exclusive: boolean): Promise<ScriptOutcome | "lost"> => {
      for (;;) {
        call.signal.throwIfAborted();
        const outcome = await this.#attempt(request, input, call, deadline, exclusive);
        if (outcome !== "stale" && !(exclusive && outcome === "lost")) return outcome;
      }
    };
    const outcome = await this.#slots.run(call.signal, async () => {
      if (this.#contention.has(request.source)) return "lost";
      const first = await attempt(false);
      if (first === "lost") this.#contention.add(request.source);
      return first;
    });
    if (outcome !== "lost") return outcome;
    return this.#lane.run(call.signal, async () => (await attempt(true)) as ScriptOutcome); // it goes on until it wins
  }

  gauges(): Gauge[] {
    const help = "Scripts in their places, and before them.";
    const gauge = (state: string, value: number): Gauge => ({
      name: "mikcar_sql_scripts",
      help,
      labels: { state },
      value,
    });
    return [
      gauge("running", this.#slots.busy + this.#lane.busy),
      gauge("waiting", this.#slots.waiting + this.#lane.waiting),
    ];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#engine)?.close();
  }

  /** @returns `lost` to another transaction, or under a plan that was `stale`, with time left to try again. */
  async #attempt(
    { source, isolation = "serializable" }: ScriptRequest,
    input: string,
    call: Call,
    deadline: { leftMs: number },
    exclusive: boolean,
  ): Promise<ScriptOutcome | "lost" | "stale"> {
    const engine = await this.#open();
    const { signal, headers, traceId, log } = call;
    const transaction = this.#backend.begin({
      isolation,
      exclusive,
      signal,
      maxBytes: MAX_RESULT_BYTES,
      readOnly: !call.canWrite,
    });
    const run = new Run(transaction, this.#backend, this.#limits.maxQueries, call);
    const startedAt = performance.now();
    try {
      const result = await engine.run({
        source,
        input,
        caller: headers.authorization ?? "",
        timeoutMs: deadline.leftMs,
        memoryMb: this.#limits.memoryMb,
        sql: (method, text, params) => run.sql(method, text, params),
        log: (line) => run.lines.push(line),
        signal,
      });
      if (run.failure !== undefined) throw run.failure;
      await transaction.commit();
      return { result, queries: run.queries };
    } catch (error) {
      await transaction.rollback();
      deadline.leftMs -= performance.now() - startedAt;
      const reasons = [run.failure, error];
      const lost = reasons.find((one) => isRetryable(one) || (!exclusive && hasWaitedTooLong(one)));
      const again = lost ?? reasons.find(isStale);
      if (again === undefined) throw error;
      if (deadline.leftMs <= 0) throw again;
      run.lines.length = 0; // the next run says them again
      return lost === undefined ? "stale" : "lost";
    } finally {
      for (const { level, text } of run.lines)
        log[level]({ service: "sql", trace_id: traceId, script: text }, "script");
    }
  }

  #open(): Promise<ScriptEngine> {
    if (this.#isClosed) throw new MikcarError("UNAVAILABLE", "the scripts are closed");
    const { concurrency } = this.#limits;
    this.#engine ??= import("./script/sandbox.ts").then(({ createEngine }) =>
      createEngine({ children: concurrency + 1 }),
    );
    return this.#engine;
  }
}

/** Beside others a transaction does not wait long for a lock (`lock_timeout`): it may be a deadlock. */
function hasWaitedTooLong(error: unknown): boolean {
  return sqlState(error) === "55P03";
}

/** The statements of one run. */
class Run {
  /** The first failed statement: it rolls all back, whatever the script makes of it. */
  failure: unknown;
  queries = 0;
  readonly lines: ScriptLine[] = [];
  readonly #transaction: Transaction;
  readonly #backend: SqlBackend;
  readonly #maxQueries: number;
  readonly #call: Call;

  constructor(transaction: Transaction, backend: SqlBackend, maxQueries: number, call: Call) {
    this.#transaction = transaction;
    this.#backend = backend;
    this.#maxQueries = maxQueries;
    this.#call = call;
  }

  /** @returns JSON text for the script. */
  async sql(method: "query" | "execute", text: string, params: unknown): Promise<string> {
    try {
      if (this.failure !== undefined) throw this.failure;
      this.queries += 1;
      if (this.queries > this.#maxQueries)
        throw new MikcarError("SCRIPT_ERROR", `the script has run more than ${this.#maxQueries} statements`);
      const { sql, params: list } = checked(text, params);
      const asked = statement(sql, list, this.#backend.dialect);
      if (asked.refusal !== undefined) throw sqlError(asked.refusal.message, asked.refusal);
      return await this.#run(method, asked);
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }

  async #run(method: "query" | "execute", asked: Statement): Promise<string> {
    const transaction = this.#transaction;
    if (method === "execute") {
      const done = audited(this.#call, "script", asked, transaction.execute(asked), ({ affected }) => affected);
      return String((await done).affected);
    }
    const { json } = await audited(this.#call, "script", asked, transaction.query(asked), ({ count }) => count);
    return `[${json}]`;
  }
}

/** @throws SCRIPT_ERROR for what is no statement, or holds what no database can store. */
function checked(text: string, params: unknown): { sql: string; params: Statement["params"] } {
  const result = schemas.statementBody.safeParse({ sql: text, params });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new MikcarError("SCRIPT_ERROR", `sql: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "no statement"}`);
}
