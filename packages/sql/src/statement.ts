/** A statement as the handlers pass it on: its text, its parameters, and what the text says about itself. */

import type { Param } from "./backend.ts";
import { type Dialect, type Token, tokens } from "./tokens.ts";

/** What a text says about itself. */
export interface Reading {
  /**
   * The verb in upper case, behind comments and CTEs: `INSERT` for `WITH … INSERT`, and for a CTE that inserts below a
   * SELECT. `OTHER` for a word that is no verb of these databases, empty when there is none.
   */
  readonly kind: string;
  /** The table it is about, as written, without quotes: `public.users`; undefined when it names none. */
  readonly table: string | undefined;
  /** By its words it changes nothing: SELECT, VALUES, EXPLAIN, SHOW … A function in it may still write. */
  readonly isRead: boolean;
  /** It makes a temporary table. */
  readonly isTemporary: boolean;
  /** It may leave something with the connection that no other caller must meet: settings, locks, temporary tables. */
  readonly isSpoiling: boolean;
  /** Why a caller may not run it: it is none, or would change the connection, which is shared. Undefined: it may. */
  readonly refusal: Refusal | undefined;
}

export interface Refusal {
  readonly message: string;
  /** `0A000`, or `42601` for a text without a statement. */
  readonly sqlstate: string;
}

export interface Statement extends Reading {
  readonly sql: string;
  readonly params: readonly Param[];
}

/** Texts whose reading is kept: one program has few of them, and calls them often. */
const KEPT_READINGS = 1000;
/** In characters; longer ones are read again each time. */
const KEPT_TEXT_LENGTH = 16 * 1024;
/** Enough for the verb and the table of any statement that is not made to hide them. */
const MAX_TOKENS = 2000;
const MAX_TABLE_LENGTH = 200;

const READS = new Set(["SELECT", "VALUES", "TABLE", "SHOW", "EXPLAIN", "PRAGMA"]);
const CHANGES = new Set(["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"]);
const MAIN_VERBS = new Set([...CHANGES, "SELECT", "VALUES", "TABLE"]);
const TRANSACTION = new Set(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"]);
/** Verbs that either database has: nothing else that stands in a caller's text comes into a log. */
const VERBS = new Set([
  ...READS,
  ...CHANGES,
  ...TRANSACTION,
  ...(
    "CREATE ALTER DROP TRUNCATE GRANT REVOKE COMMENT SECURITY VACUUM ANALYZE REINDEX CLUSTER REFRESH LOCK CALL DO SET RESET " +
    "DISCARD LISTEN UNLISTEN NOTIFY PREPARE EXECUTE DEALLOCATE DECLARE FETCH MOVE CLOSE LOAD COPY CHECKPOINT IMPORT REASSIGN " +
    "ATTACH DETACH"
  ).split(" "),
]);
/** Code of the server that may do anything to its connection, and the functions that are known to. */
const SPOILING_VERBS = new Set(["DO", "CALL"]);
const SPOILING = /set_config|pg_temp|advisory_lock|dblink_connect/i;
/** What stays with a connection of Postgres when the call is over. */
const SESSION = new Set("SET RESET DISCARD LISTEN UNLISTEN PREPARE EXECUTE DEALLOCATE DECLARE LOAD COPY".split(" "));
/** Verbs whose next word is no table. */
const NAMELESS = new Set(["SET", "RESET", "SHOW", "PRAGMA", "DO", "CALL", "VALUES", "DISCARD", "NOTIFY", "CHECKPOINT"]);
const READING_PRAGMA = /(?:_info|_xinfo|_list|_check)$/i;
/** Words between a verb and the name it is about. */
const FILLERS = new Set(
  (
    "OR REPLACE ABORT FAIL IGNORE INTO FROM ONLY TABLE VIEW INDEX SEQUENCE TRIGGER TYPE SCHEMA DATABASE FUNCTION PROCEDURE " +
    "MATERIALIZED TEMP TEMPORARY UNLOGGED GLOBAL LOCAL UNIQUE VIRTUAL CONCURRENTLY RECURSIVE FOREIGN IF NOT EXISTS EXTENSION " +
    "DOMAIN ROLE USER POLICY VERBOSE FULL ANALYZE FREEZE"
  ).split(" "),
);
const readings: Record<Dialect, Map<string, Reading>> = { postgres: new Map(), sqlite: new Map() };

/** @param sql As the caller sent it. */
export function statement(sql: string, params: readonly Param[], dialect: Dialect): Statement {
  const known = readings[dialect];
  let reading = known.get(sql);
  if (reading === undefined) {
    reading = readStatement(sql, dialect);
    if (known.size >= KEPT_READINGS) known.delete(known.keys().next().value ?? "");
    if (sql.length <= KEPT_TEXT_LENGTH) known.set(sql, reading);
  }
  return { sql, params, ...reading };
}

/** Reads the words of a text; it need not be valid SQL. */
export function readStatement(sql: string, dialect: Dialect): Reading {
  const all = tokens(sql, dialect, MAX_TOKENS);
  const first = all.findIndex(({ type, text }) => !(type === "symbol" && (text === "(" || text === ";")));
  const words = first === -1 ? [] : all.slice(first);
  const start = keyword(words[0]);
  const main = start === "WITH" ? mainVerb(words) : 0;
  const verb = keyword(words[main]);
  const hidden = hiddenChange(words, start === "WITH" ? main : 0, start);
  const at = hidden ?? main;
  const kind = hidden === undefined ? verb : keyword(words[hidden]);
  const hasTemporary = has(words, "TEMP") || has(words, "TEMPORARY");
  const isTemporary = hasTemporary && (!READS.has(verb) || has(words, "INTO"));

  return {
    kind: start === "EXPLAIN" ? "EXPLAIN" : VERBS.has(kind) || kind === "" ? kind : "OTHER",
    table:
      start === "EXPLAIN" && hidden === undefined ? undefined : tableOf(words, at, kind)?.slice(0, MAX_TABLE_LENGTH),
    isRead: READS.has(verb) && hidden === undefined && !writesAnyway(words, verb),
    isTemporary,
    isSpoiling: isTemporary || all.length === MAX_TOKENS || SPOILING_VERBS.has(verb) || SPOILING.test(sql),
    refusal: refusal(verb, words, dialect),
  };
}

/** The place of the verb that a WITH leads to; 0 when it cannot be seen. */
function mainVerb(words: readonly Token[]): number {
  const depth = words[0]?.depth ?? 0;
  let isName = true; // a CTE may be named after a verb
  for (let at = 1; at < words.length; at++) {
    const token = words[at] as Token; // below the length
    if (token.depth !== depth) continue;
    if (isName && keyword(token) !== "RECURSIVE") isName = false;
    else if (token.type === "symbol" && token.text === ",") isName = true;
    else if (MAIN_VERBS.has(keyword(token))) return at;
  }
  return 0;
}

/** A change inside a CTE, or behind EXPLAIN ANALYZE: it is what happens, whatever stands around it. */
function hiddenChange(words: readonly Token[], main: number, start: string): number | undefined {
  if (start === "EXPLAIN") {
    const runs = words.some((token) => keyword(token) === "ANALYZE" || keyword(token) === "ANALYSE");
    const change = words.findIndex((token) => CHANGES.has(keyword(token)));
    return runs && change !== -1 ? change : undefined;
  }
  if (start !== "WITH" || CHANGES.has(keyword(words[main]))) return undefined;
  const change = words.findIndex(
    (token, at) => CHANGES.has(keyword(token)) && words[at - 1]?.type === "symbol" && words[at - 1]?.text === "(",
  );
  return change === -1 ? undefined : change;
}

function writesAnyway(words: readonly Token[], verb: string): boolean {
  if (verb === "SELECT") return words.some((token) => token.depth === words[0]?.depth && keyword(token) === "INTO");
  if (verb !== "PRAGMA") return false;
  const isAssigned = words.some(({ type, text }) => type === "symbol" && (text === "=" || text === "("));
  return isAssigned && !words.some(({ text }) => READING_PRAGMA.test(text));
}

function refusal(verb: string, words: readonly Token[], dialect: Dialect): Refusal | undefined {
  if (words.length === 0) return { message: "the text has no statement in it", sqlstate: "42601" };
  const message = sharedState(verb, words, dialect);
  return message === undefined ? undefined : { message, sqlstate: "0A000" };
}

function sharedState(verb: string, words: readonly Token[], dialect: Dialect): string | undefined {
  const isTransaction = verb === "PREPARE" && keyword(words[1]) === "TRANSACTION";
  if (TRANSACTION.has(verb) || isTransaction)
    return `${verb} is not possible here: every call is a transaction of its own; for several statements use /sql/batch or /sql/script`;
  if (dialect === "sqlite" || !SESSION.has(verb)) return undefined;
  if (verb === "COPY") return "COPY is not possible here: it moves data outside of the answer; use INSERT and SELECT";
  const scope = keyword(words[1]);
  const isLocal =
    scope === "CONSTRAINTS" || (scope === "LOCAL" && !/^(?:transaction|session)/i.test(words[2]?.text ?? ""));
  if (verb === "SET" && isLocal) return undefined;
  return `${verb} is not possible here: connections are shared and a call leaves nothing behind; use SET LOCAL in a batch or script`;
}

function tableOf(words: readonly Token[], verbAt: number, kind: string): string | undefined {
  if (NAMELESS.has(kind)) return undefined;
  const depth = words[verbAt]?.depth;
  let at = verbAt + 1;
  const marker = kind === "SELECT" ? "FROM" : kind === "GRANT" || kind === "REVOKE" ? "ON" : undefined;
  if (marker !== undefined) {
    at = words.findIndex((token, index) => index > verbAt && token.depth === depth && keyword(token) === marker) + 1;
    if (at === 0) return undefined;
  }
  const isIndex = kind === "CREATE" && words.slice(at, at + 4).some((token) => keyword(token) === "INDEX");
  if (isIndex) at = words.findIndex((token, index) => index >= at && keyword(token) === "ON") + 1 || at;
  while (FILLERS.has(keyword(words[at]))) at += 1;
  return nameAt(words, at);
}

/** `a`, `a.b`, `"A b".c`. */
function nameAt(words: readonly Token[], start: number): string | undefined {
  let name = "";
  for (let at = start; ; at += 2) {
    const token = words[at];
    if (token?.type !== "word" && token?.type !== "name") return name === "" ? undefined : name;
    name += token.text;
    if (words[at + 1]?.text !== "." || words[at + 1]?.type !== "symbol") return name;
    name += ".";
  }
}

function has(words: readonly Token[], word: string): boolean {
  return words.some((token) => keyword(token) === word);
}

function keyword(token: Token | undefined): string {
  return token?.type === "word" ? token.text.toUpperCase() : "";
}
