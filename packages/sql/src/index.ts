export type {
  Affected,
  BatchOptions,
  BeginOptions,
  CallOptions,
  Column,
  Int64,
  Isolation,
  Param,
  QueryOptions,
  Rows,
  RowStream,
  SqlBackend,
  Transaction,
} from "./backend.ts";
export { database, type Database } from "./database.ts";
export { isRetryable, sqlError, type SqlErrorDetails, sqlState } from "./errors.ts";
export type { ScriptLimits } from "./scripts.ts";
export { SqlService } from "./service.ts";
export type { Reading, Statement } from "./statement.ts";
