/** Calls over the wire, and what the server logs meanwhile. */

import { expect } from "@jest/globals";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { type Answer, ask, type Ask } from "@mikcar/devkit";
import { SqlService } from "../src/service.ts";

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Client {
  /** @param path Below `/sql`. @param body Sent as JSON; a string as it stands. */
  post(path: string, body: unknown, options?: Ask): Promise<Answer>;
  query(sql: string, params?: readonly unknown[], more?: object): Promise<Answer>;
  /** The rows of a query that must succeed. */
  rows(sql: string, ...params: unknown[]): Promise<unknown[]>;
  /** A statement that must succeed. @returns Rows affected. */
  run(sql: string, ...params: unknown[]): Promise<number>;
  batch(...statements: (string | readonly [string, ...unknown[]])[]): Promise<Answer>;
  script(script: string | Function, input?: unknown, more?: object): Promise<Answer>;
  /** What is logged from now on. */
  lines(): LogLine[];
  readonly server: Server;
}

/** A server of its own over `url`, on a free port. */
export async function startSql(url: string): Promise<Client> {
  const log: LogLine[] = [];
  const destination = { write: (line: string) => void log.push(JSON.parse(line) as LogLine) };
  const server = await new SidecarBuilder()
    .port(0)
    .log(await createLog("info", destination))
    .add(await SqlService.fromUrl(url))
    .serve();
  const post: Client["post"] = (path, body, { headers = {}, ...options } = {}) =>
    ask(server.url ?? "", `/sql${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...options,
    });
  const done = async (answer: Promise<Answer>): Promise<Answer> => {
    const { status, text } = await answer;
    expect([status, text]).toEqual([200, expect.anything()]);
    return answer;
  };
  return {
    server,
    post,
    query: (sql, params = [], more = {}) => post("/query", { sql, params, ...more }),
    rows: async (sql, ...params) => (await done(post("/query", { sql, params }))).json.rows,
    run: async (sql, ...params) => (await done(post("/execute", { sql, params }))).json.rows_affected,
    batch: (...statements) =>
      post("/batch", {
        statements: statements.map((one) =>
          typeof one === "string" ? { sql: one } : { sql: one[0], params: one.slice(1) },
        ),
      }),
    script: (script, input, more = {}) =>
      post("/script", {
        script: typeof script === "string" ? script : `export default ${String(script)}`,
        input,
        ...more,
      }),
    lines: () => log.splice(0),
  };
}

/** What every error looks like. */
export function failure(status: number, code: string, details?: unknown): unknown {
  return { error: expect.stringMatching(/\S/), code, status, ...(details === undefined ? {} : { details }) };
}

/** A failure that carries a SQLSTATE, and perhaps more. */
export function sqlFailure(status: number, sqlstate: string, more: object = {}): unknown {
  const code = status === 409 ? "CONFLICT" : status === 408 ? "TIMEOUT" : "SQL_ERROR";
  return failure(status, code, expect.objectContaining({ sqlstate, ...more }));
}
