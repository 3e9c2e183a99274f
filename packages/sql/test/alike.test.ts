/** The same values, and the same flat memory, on both databases. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import fc from "fast-check";
import { type Client, startSql } from "./client.ts";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const IS_LONG = process.env["MIKCAR_TEST_LONG"] === "1";
const MIB = 1024 * 1024;

const folder = temporaryFolder();
const clients: Client[] = [];
let server: PostgresServer;
const databases: Record<string, () => Promise<string>> = {
  Postgres: () => server.freshUrl(),
  SQLite: async () => `sqlite://${folder.path}/alike.db`,
};
beforeAll(async () => {
  server = await startPostgres();
}, 60_000);
afterAll(async () => {
  for (const sql of clients) await sql.server.close();
  await server.remove();
  folder.remove();
});

/** Text that a database can store: whole characters, no NUL. */
const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("\\u0000"));
const row = fc.record({
  i: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  f: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  t: text,
  b: fc.boolean(),
  // A bare string or null would be text or NULL; and -0 has no JSON of its own.
  j: json.map((value) => JSON.parse(JSON.stringify([value])) as unknown),
});

it("give back what they were given, whatever it is", async () => {
  for (const url of Object.values(databases)) clients.push(await startSql(await url()));
  for (const sql of clients)
    await sql.run("CREATE TABLE alike (i BIGINT, f DOUBLE PRECISION, t TEXT, b BOOLEAN, j JSON)");

  await fc.assert(
    fc.asyncProperty(row, async ({ i, f, t, b, j }) => {
      // With its exponent: digits alone would be an integer, and one beyond 64 bits fits nowhere.
      const params = `[${i},${f.toExponential()},${[t, b, j].map((value) => JSON.stringify(value)).join(",")}]`;
      for (const sql of clients) {
        const insert = `{"sql":"INSERT INTO alike VALUES ($1,$2,$3,$4,$5) RETURNING *","params":${params}}`;
        const answer = await sql.post("/query", insert);

        expect([answer.status, answer.json.rows?.[0]]).toEqual([200, { i: Number(i), f, t, b, j }]);
        expect(answer.text).toContain(`{"i":${i},`);
      }
    }),
    { numRuns: IS_LONG ? 3000 : 150 },
  );
});

const ROWS = IS_LONG ? 1_000_000 : 300_000;

it.each(Object.keys(databases))(`stream ${ROWS} rows of %s in flat memory, to a reader that is slow`, async (name) => {
  const program = await startProgram(BIN, {
    args: ["--port", "0"],
    env: { DATABASE_URL: (await databases[name]?.()) ?? "" },
  });
  const sql = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    SELECT i, 'some text, so that a row has a hundred bytes or so, as rows often have' AS t FROM n`;
  const query = (text: string): Promise<Response> =>
    fetch(`${program.url}/sql/query`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/x-ndjson" },
      body: JSON.stringify({ sql: text }),
    });
  await (await query("SELECT 1 AS i")).text();
  const idle = memory(program, "VmRSS");

  let lines = 0;
  let pieces = 0;
  for await (const piece of (await query(sql)).body ?? []) {
    for (const byte of piece) if (byte === 10) lines += 1;
    pieces += 1;
    if (pieces % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5)); // slower than the database
  }

  const peak = memory(program, "VmHWM");
  await program.stop();
  expect(lines).toBe(ROWS);
  expect((peak - idle) / MIB).toBeLessThan(60);
});

/** Of the program and the processes it has started. @param field VmRSS or VmHWM: proc_pid_status(5). */
function memory({ pid }: RunningProgram, field: string): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const pids = [String(pid), ...(children === "" ? [] : children.split(" "))];
  const kilobytes = pids.map((id) => {
    const text = readFileSync(`/proc/${id}/status`, "utf8");
    return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1]);
  });
  return kilobytes.reduce((sum, size) => sum + size, 0) * 1024;
}
