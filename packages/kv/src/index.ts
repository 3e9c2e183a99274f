export type { Condition, KeyPage, KvBackend, Operation, Result, Transaction } from "./backend.ts";
export { type Glob, glob } from "./glob.ts";
export { KvService } from "./service.ts";
export { eTag } from "./value.ts";
