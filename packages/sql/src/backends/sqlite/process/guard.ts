/** What a caller's statement may touch: https://www.sqlite.org/c3ref/set_authorizer.html */

import { constants } from "node:sqlite";

const {
  SQLITE_OK,
  SQLITE_DENY,
  SQLITE_ATTACH,
  SQLITE_DETACH,
  SQLITE_DROP_TEMP_TABLE,
  SQLITE_FUNCTION,
  SQLITE_INSERT,
  SQLITE_UPDATE,
  SQLITE_DELETE,
  SQLITE_PRAGMA,
  SQLITE_READ,
  SQLITE_SELECT,
  SQLITE_SAVEPOINT,
  SQLITE_TRANSACTION,
} = constants;

/** They tell something, and may be given an argument that says about what. */
const PRAGMAS = new Set(
  (
    "table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check " +
    "integrity_check quick_check user_version application_id optimize compile_options function_list collation_list " +
    "defer_foreign_keys"
  ).split(" "),
);
/** They tell something, and with an argument change it. */
const READ_ONLY_PRAGMAS = new Set(
  "page_count page_size freelist_count encoding data_version schema_version".split(" "),
);

/** A table of ours in the connection's own `temp`: see Database. */
export const MARK = "mikcar_mark";

/** Who is at work: a caller, a caller's VACUUM, or this process for itself. */
export type Worker = "caller" | "vacuum" | "process";

export class Guard {
  worker: Worker = "process";
  /** Goes up whenever SQLite compiles a statement, also when it does so anew because the schema has changed. */
  calls = 0;
  /** The statement compiled last uses `last_insert_rowid()`, or a trigger of its does. */
  asksForRowid = false;
  /** Why the last refusal was made. */
  refusal: string | undefined;

  /** To be given to `setAuthorizer`. */
  readonly authorize = (action: number, first: string | null, second: string | null, schema: string | null): number => {
    this.calls += 1;
    if (this.worker === "process" || action === SQLITE_SELECT) return SQLITE_OK;
    const refusal = action === SQLITE_READ ? ofMark(first) : this.#refuse(action, first, second, schema);
    if (refusal === undefined) return SQLITE_OK;
    this.refusal = refusal;
    return SQLITE_DENY;
  };

  #refuse(action: number, first: string | null, second: string | null, schema: string | null): string | undefined {
    const isVacuum = this.worker === "vacuum";
    switch (action) {
      case SQLITE_ATTACH:
        if (isVacuum && first === "") return undefined; // how VACUUM makes its copy
        return isVacuum
          ? "VACUUM INTO is refused: it writes another file; VACUUM alone is allowed"
          : "ATTACH is refused: this service works on one database file; start another one for another file";
      case SQLITE_DETACH:
        return "DETACH is refused: there is nothing attached";
      case SQLITE_TRANSACTION:
      case SQLITE_SAVEPOINT:
        if (isVacuum) return undefined;
        return "transaction control is refused: a statement is its own transaction; send several in one batch or script";
      case SQLITE_FUNCTION:
        if (second === "last_insert_rowid") this.asksForRowid = true;
        return second === "load_extension" ? "load_extension is refused: extensions cannot be loaded here" : undefined;
      case SQLITE_PRAGMA:
        return ofPragma((first ?? "").toLowerCase(), second);
      case SQLITE_INSERT:
        return schema === "temp" && (first === "sqlite_master" || first === "sqlite_temp_master")
          ? "temporary tables, views and triggers are refused: connections are shared; use a CTE or a real table"
          : ofMark(first);
      case SQLITE_UPDATE:
      case SQLITE_DELETE:
      case SQLITE_DROP_TEMP_TABLE:
        return ofMark(first);
      default:
        return undefined;
    }
  }
}

function ofMark(table: string | null): string | undefined {
  return table === MARK ? `the table ${MARK} belongs to the service` : undefined;
}

function ofPragma(name: string, value: string | null): string | undefined {
  if (PRAGMAS.has(name)) return undefined;
  if (!READ_ONLY_PRAGMAS.has(name)) {
    const known = [...PRAGMAS, ...READ_ONLY_PRAGMAS].sort().join(", ");
    return `PRAGMA ${name} is refused; allowed are ${known}`;
  }
  return value === null ? undefined : `PRAGMA ${name} can be read here, not set`;
}
