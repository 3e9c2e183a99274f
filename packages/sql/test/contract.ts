/** What `/sql` means, whatever database is behind it. */

import { afterAll, beforeAll, beforeEach, describe } from "@jest/globals";
import { type Client, startSql } from "./client.ts";
import { audit } from "./contract/audit.ts";
import { batches } from "./contract/batches.ts";
import { limits } from "./contract/limits.ts";
import { refusals } from "./contract/refusals.ts";
import { scripts } from "./contract/scripts.ts";
import { statements } from "./contract/statements.ts";
import { transfers } from "./contract/transfers.ts";
import { values } from "./contract/values.ts";

export interface Harness {
  /** Of a database that is new and empty. */
  freshUrl(): Promise<string>;
  /** A query that runs until it is cancelled. */
  readonly endless: string;
  /** Whether such a query still runs somewhere. */
  isBusy(): Promise<boolean>;
}

/** What a group of tests works with. */
export interface Current {
  readonly sql: Client;
  readonly harness: Harness;
}

const TABLES = [
  "CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0))",
  "CREATE TABLE pets (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL REFERENCES people (id), name TEXT)",
  "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
];

export function sqlContract(name: string, harness: Harness): void {
  describe(`${name} keeps the sql contract`, () => {
    let sql: Client;
    beforeAll(async () => {
      sql = await startSql(await harness.freshUrl());
      for (const table of TABLES) await sql.run(table);
    });
    afterAll(() => sql.server.close());
    beforeEach(async () => {
      for (const table of ["pets", "people", "accounts"]) await sql.run(`DELETE FROM ${table}`);
      sql.lines();
    });

    const current: Current = {
      get sql() {
        return sql;
      },
      harness,
    };
    describe("statements", () => statements(current));
    describe("values", () => values(current));
    describe("refusals", () => refusals(current));
    describe("batches", () => batches(current));
    describe("limits", () => limits(current));
    describe("scripts", () => scripts(current));
    describe("transfers", () => transfers(current));
    describe("audit", () => audit(current));
  });
}
