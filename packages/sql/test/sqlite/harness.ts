import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { Affected, CallOptions, Param, QueryOptions, Rows, SqlBackend } from "../../src/backend.ts";
import { open } from "../../src/backends/sqlite/index.ts";
import { type Statement, statement } from "../../src/statement.ts";

/** Never ends by itself, and cannot be interrupted by SQLite's own means. */
export const ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
export const ENDLESS_WRITE =
  "INSERT INTO t(a) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

export function sql(text: string, ...params: Param[]): Statement {
  return statement(text, params, "sqlite");
}

/** An open backend, with short ways to use it. */
export interface Opened extends AsyncDisposable {
  readonly db: SqlBackend;
  readonly path: string;
  execute(text: string, ...params: Param[]): Promise<Affected>;
  /** The parsed rows. */
  rows(text: string, ...params: Param[]): Promise<unknown[]>;
  query(text: string, params?: readonly Param[], options?: Partial<QueryOptions>): Promise<Rows>;
}

/** In a folder of its own, or on the file given. */
export async function openSqlite({ query = "", path = "" } = {}): Promise<Opened> {
  const folder = path === "" ? temporaryFolder() : undefined;
  const file = folder === undefined ? path : join(folder.path, "db.sqlite");
  const db = await open(configUrl(`${sqliteUrl(file)}${query}`));
  return {
    db,
    path: file,
    execute: (text, ...params) => db.execute(sql(text, ...params), call()),
    rows: async (text, ...params) => rowsOf(await db.query(sql(text, ...params), call())),
    query: (text, params = [], options = {}) => db.query(sql(text, ...params), { ...call(), ...options }),
    [Symbol.asyncDispose]: async () => {
      await db.close();
      folder?.remove();
    },
  };
}

export function sqliteUrl(path: string): string {
  return fileUrl(path).replace("file:", "sqlite:");
}

export function call(signal = new AbortController().signal): CallOptions {
  return { signal };
}

export function rowsOf({ json }: Rows): unknown[] {
  return JSON.parse(`[${json}]`) as unknown[];
}

/** What the wire would say of a rejection: code, SQLSTATE, and message. */
export async function failureOf(promise: Promise<unknown>): Promise<{ code: string; state: unknown; message: string }> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  const { code = "", details, message } = error as { code?: string; details?: { sqlstate?: string }; message: string };
  return { code, state: details?.sqlstate, message };
}

export interface Running {
  readonly pid: number;
  readonly isWriter: boolean;
  /** In clock ticks so far. */
  readonly cpu: number;
}

/** The SQLite processes that work on a file, whoever started them. */
export function processesOn(path: string): readonly Running[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (Number.isNaN(pid)) return [];
    try {
      const args = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      const settings = args.find((arg) => arg.startsWith(`{"path":${JSON.stringify(path)},`));
      if (settings === undefined) return [];
      const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      if (fields[0] === "Z") return [];
      return [{ pid, isWriter: settings.includes('"isWriter":true'), cpu: Number(fields[11]) + Number(fields[12]) }];
    } catch {
      return []; // ended meanwhile
    }
  });
}
