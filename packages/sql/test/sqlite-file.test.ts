/** The file under the backend: locked by another program, or gone. */

import { renameSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeEach, afterEach, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { type Client, failure, startSql } from "./client.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

let count = 0;
let path: string;
let sql: Client;
beforeEach(async () => {
  path = `${folder.path}/${count++}.db`;
  sql = await startSql(`sqlite://${path}?busy_timeout_ms=600000`);
  await sql.run("CREATE TABLE t (a INTEGER)");
});
afterEach(() => sql.server.close());

it("frees the writer when the caller who waits for another program's lock gives up", async () => {
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");

  const { status } = await sql.post("/execute", { sql: "INSERT INTO t VALUES (1)", timeout_ms: 200 });
  other.exec("COMMIT");
  other.close();

  expect(status).toBe(408);
  expect(await sql.run("INSERT INTO t VALUES (2)")).toBe(1);
  expect(await sql.rows("SELECT a FROM t")).toEqual([{ a: 2 }]);
});

it.each<[string, (path: string) => void]>([
  ["removed", (path) => rmSync(path)],
  ["replaced", (path) => (renameSync(path, `${path}.old`), new DatabaseSync(path).close())],
])("acknowledges no write to a file that was %s", async (_what, change) => {
  await sql.run("INSERT INTO t VALUES (1)");

  change(path);

  for (const answer of [
    await sql.post("/execute", { sql: "INSERT INTO t VALUES (2)" }),
    await sql.batch("INSERT INTO t VALUES (3)"),
    await sql.script('sql.execute("INSERT INTO t VALUES (4)")'),
  ]) {
    expect([answer.status, answer.json]).toEqual([503, failure(503, "UNAVAILABLE")]);
  }
  expect((await fetch(`${sql.server.url}/ready`)).status).toBe(503);
});

it("refuses a value that no string can hold as too large", async () => {
  const { status, json } = await sql.query("SELECT hex(zeroblob(300000000)) AS x");

  expect([status, json.code]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  expect(await sql.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
});

it("tells the row that an INSERT has made, in a batch too, and of no other statement", async () => {
  const execute = (text: string): ReturnType<Client["post"]> => sql.post("/execute", { sql: text });
  await execute("INSERT INTO t VALUES (1)");

  const inserted = await execute("INSERT INTO t VALUES (2)");
  const updated = await execute("UPDATE t SET a = 3");
  const batch = await sql.batch("INSERT INTO t VALUES (4)", "DELETE FROM t");

  expect(inserted.json).toEqual({ rows_affected: 1, last_insert_id: 2 });
  expect(updated.json).toEqual({ rows_affected: 2 });
  expect(batch.json.results).toEqual([{ rows_affected: 1, last_insert_id: 3 }, { rows_affected: 3 }]);
});
