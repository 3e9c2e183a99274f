/** A Redis that is one server. */

import type { Connection, Words } from "@mikcar/redis";
import type { Servers } from "./servers.ts";

export class Single implements Servers {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  send(_key: string, words: Words): Promise<unknown> {
    return this.#connection.send(words);
  }

  placeOf(): number {
    return 0;
  }

  async all(): Promise<readonly Connection[]> {
    return [this.#connection];
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
