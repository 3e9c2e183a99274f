/** Where commands go: one server, or those of a cluster. */

import type { Connection, Words } from "@mikcar/redis";

export interface Servers {
  /** To the server that has `key`. @throws as `Connection.send`. */
  send(key: string, words: Words): Promise<unknown>;
  /** Keys with the same place can be named by one command. */
  placeOf(key: string): number;
  /** Every server that has keys. */
  all(): Promise<readonly Connection[]>;
  /** Safe to call twice. */
  close(): Promise<void>;
}
