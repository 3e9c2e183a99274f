/** Every type of Postgres that the contract names, both ways, and what a cursor makes of it: the same. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import { type Client, startSql } from "./client.ts";

let server: PostgresServer;
let sql: Client;
beforeAll(async () => {
  server = await startPostgres();
  const url = await server.freshUrl();
  sql = await startSql(url);
  await sql.run("CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy')");
  await sql.run("CREATE DOMAIN positive AS INTEGER CHECK (VALUE > 0)");
  await sql.run("CREATE TYPE pair AS (a INTEGER, b TEXT)");
}, 60_000);
afterAll(async () => {
  await sql.server.close();
  await server.remove();
});

/** Type, parameter as JSON text, value in the answer as JSON text. */
const TABLE: readonly (readonly [type: string, param: string, result: string])[] = [
  ["boolean", "true", "true"],
  ["boolean", '"f"', "false"],
  ["smallint", "-32768", "-32768"],
  ["integer", "2147483647", "2147483647"],
  ["bigint", "9007199254740993", "9007199254740993"],
  ["bigint", "-9223372036854775808", "-9223372036854775808"],
  ["bigint", '"9223372036854775807"', "9223372036854775807"],
  ["oid", "4294967295", "4294967295"],
  ["real", "1.5", "1.5"],
  ["double precision", "0.1", "0.1"],
  ["double precision", "1e300", "1e+300"],
  ["double precision", "5e-324", "5e-324"],
  ["double precision", '"NaN"', '"NaN"'],
  ["double precision", '"-Infinity"', '"-Infinity"'],
  [
    "numeric",
    '"12345678901234567890.123456789012345678901234567890"',
    '"12345678901234567890.123456789012345678901234567890"',
  ],
  ["numeric(10,2)", "10", '"10.00"'],
  ["numeric(10,2)", "10.5", '"10.50"'],
  ["numeric", '"NaN"', '"NaN"'],
  ["money", '"1.50"', '"$1.50"'],
  ["text", '"it\'s \\"x\\" \\\\ 🎈\\n"', '"it\'s \\"x\\" \\\\ 🎈\\n"'],
  ["text", "10", '"10"'],
  ["text", "true", '"true"'],
  ["text", "[1]", '"[1]"'],
  ["varchar(5)", '"abc"', '"abc"'],
  ["char(5)", '"abc"', '"abc  "'],
  ["date", '"2024-02-29"', '"2024-02-29"'],
  ["date", '"0044-03-15 BC"', '"0044-03-15 BC"'],
  ["date", '"infinity"', '"infinity"'],
  ["time", '"23:59:59.999999"', '"23:59:59.999999"'],
  ["timetz", '"12:00:00+02"', '"12:00:00+02"'],
  ["timestamp", '"2024-03-31T02:30:00.123456"', '"2024-03-31T02:30:00.123456"'],
  ["timestamp", '"infinity"', '"infinity"'],
  ["timestamptz", '"2024-03-31T02:30:00.123456+02:00"', '"2024-03-31T00:30:00.123456Z"'],
  ["timestamptz", '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00Z"'],
  ["timestamptz", '"-infinity"', '"-infinity"'],
  ["interval", '"1 day 02:03:04.5"', '"1 day 02:03:04.5"'],
  ["uuid", '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
  ["bytea", '"\\\\x00ff"', '"AP8="'],
  ["bytea", '""', '""'],
  ["json", '{"a": [1, 9007199254740993, null]}', '{"a":[1,9007199254740993,null]}'],
  ["json", '"[1,\\n2]"', "[1, 2]"],
  ["jsonb", '{"b":"x"}', '{"b": "x"}'],
  ["jsonb", "[1,[2]]", "[1, [2]]"],
  ["integer[]", "[1,null,-3]", "[1,null,-3]"],
  ["integer[]", "[]", "[]"],
  ["integer[]", "[[1,2],[3,4]]", "[[1,2],[3,4]]"],
  ["integer[]", '"{5,6}"', "[5,6]"],
  ["bigint[]", "[9007199254740993]", "[9007199254740993]"],
  [
    "text[]",
    '["a,b","{c}","say \\"d\\"","e\\\\f","NULL",null,""]',
    '["a,b","{c}","say \\"d\\"","e\\\\f","NULL",null,""]',
  ],
  ["boolean[]", "[true,false]", "[true,false]"],
  ["numeric[]", '[1.5,"2.50"]', '["1.5","2.50"]'],
  ["jsonb[]", '[{"a":1},[1,2],"x"]', '[{"a": 1},[1, 2],"x"]'],
  ["timestamptz[]", '["2024-01-01T00:00:00Z"]', '["2024-01-01T00:00:00Z"]'],
  ["uuid[]", '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]', '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]'],
  ["bytea[]", '["\\\\xff"]', '["/w=="]'],
  ["mood", '"so so"', '"so so"'],
  ["mood[]", '["sad","so so"]', '["sad","so so"]'],
  ["positive", "5", "5"],
  ["positive[]", "[5,6]", "[5,6]"],
  ["pair", '"(1,\\"x y\\")"', '"(1,\\"x y\\")"'],
  ["int4range", '"[1,5)"', '"[1,5)"'],
  ["inet", '"10.0.0.1/8"', '"10.0.0.1/8"'],
  ["point", '"(1,2)"', '"(1,2)"'],
  ["box[]", '"{(1,1),(0,0)}"', '["(1,1),(0,0)"]'],
  ["bit(3)", '"101"', '"101"'],
  ["tsvector", '"a b"', "\"'a' 'b'\""],
  ["xml", '"<a/>"', '"<a/>"'],
];

describe.each(TABLE)("a value of the type %s given as %s", (type, param, result) => {
  it("comes back exact, from a table too, and streamed", async () => {
    await sql.run("DROP TABLE IF EXISTS box_of_one");
    await sql.run(`CREATE TABLE box_of_one (v ${type})`);
    const insert = await sql.post("/execute", `{"sql":"INSERT INTO box_of_one VALUES ($1)","params":[${param}]}`);
    const select = await sql.post("/query", { sql: "SELECT v FROM box_of_one" });
    const stream = await sql.post(
      "/query",
      { sql: "SELECT v FROM box_of_one" },
      { headers: { Accept: "application/x-ndjson" } },
    );

    expect([insert.status, insert.text]).toEqual([200, '{"rows_affected":1}']);
    expect(select.text).toContain(`{"rows":[{"v":${result}}],`);
    expect(stream.text).toBe(`{"v":${result}}\n`);
  });
});

it.each(["boolean", "bigint", "numeric", "text", "timestamptz", "jsonb", "bytea", "integer[]", "mood"])(
  "gives a null of the type %s as null",
  async (type) => {
    expect(await sql.rows(`SELECT $1::${type} AS v`, null)).toEqual([{ v: null }]);
  },
);

it("names the types of columns as Postgres does", async () => {
  const { json } = await sql.query("SELECT 1::int8 a, 'x'::text b, now() c, '{}'::int4[] d, 'sad'::mood e, 1.5 f");

  expect(json.columns.map(({ type }: { type: string }) => type)).toEqual([
    "int8",
    "text",
    "timestamptz",
    "int4[]",
    "mood",
    "numeric",
  ]);
});

it("writes big integers inside arrays as strings when asked to", async () => {
  const { json } = await sql.query("SELECT '{1,9007199254740993}'::int8[] AS v", [], { int64: "string" });

  expect(json.rows).toEqual([{ v: [1, "9007199254740993"] }]);
});
