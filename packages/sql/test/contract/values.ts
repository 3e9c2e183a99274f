import { expect, it } from "@jest/globals";
import type { Current } from "../contract.ts";

const BIG = "9223372036854775807";

export function values(current: Current): void {
  it.each(["9007199254740993", BIG, "-9223372036854775808", "0", "-1"])(
    "keeps every digit of the integer %s, both ways",
    async (digits) => {
      const { sql } = current;
      await sql.post("/execute", `{"sql":"INSERT INTO accounts VALUES ($1, $2)","params":[${digits},${digits}]}`);

      const { text } = await sql.post(
        "/query",
        `{"sql":"SELECT id, balance FROM accounts WHERE id = $1","params":[${digits}]}`,
      );

      expect(text).toContain(`"rows":[{"id":${digits},"balance":${digits}}]`);
    },
  );

  it("takes an integer as a string as well", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES ($1, $2)", BIG, "-5");

    expect((await sql.query("SELECT * FROM accounts")).text).toContain(`{"id":${BIG},"balance":-5}`);
  });

  it("gives integers beyond 2^53 as strings to who asks for it", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES ($1, $2)", BIG, "9007199254740991");

    const { json } = await sql.query("SELECT * FROM accounts", [], { int64: "string" });

    expect(json.rows).toEqual([{ id: BIG, balance: 9007199254740991 }]);
  });

  it("refuses an integer that has no room, and stores nothing", async () => {
    const { sql } = current;

    const { status } = await sql.post(
      "/execute",
      `{"sql":"INSERT INTO accounts VALUES ($1, 0)","params":[9223372036854775808]}`,
    );

    expect(status).toBe(400);
    expect(await sql.rows("SELECT * FROM accounts")).toEqual([]);
  });

  it.each([0.1, -2.5e-7, 1e300, 123456.789])("keeps the float %p", async (value) => {
    const { sql } = current;
    await sql.run("CREATE TABLE IF NOT EXISTS floats (f DOUBLE PRECISION)");
    await sql.run("DELETE FROM floats");
    await sql.run("INSERT INTO floats VALUES ($1)", value);

    expect(await sql.rows("SELECT f FROM floats")).toEqual([{ f: value }]);
  });

  it.each(["", " ", "it's", 'say "hi"', "back\\slash", "ünï — 漢字 🎈", "tab\tline\nend", "NULL", "{1,2}", "$1"])(
    "keeps the text %p",
    async (text) => {
      const { sql } = current;
      await sql.run("INSERT INTO people (id, name) VALUES (1, $1)", text);

      expect(await sql.rows("SELECT name FROM people WHERE name = $1", text)).toEqual([{ name: text }]);
    },
  );

  it("keeps booleans in a column of booleans", async () => {
    const { sql } = current;
    await sql.run("CREATE TABLE flags (f BOOLEAN)");
    await sql.run("INSERT INTO flags VALUES ($1), ($2), ($3)", true, false, null);

    expect(await sql.rows("SELECT f FROM flags")).toEqual([{ f: true }, { f: false }, { f: null }]);
    await sql.run("DROP TABLE flags");
  });

  it("keeps objects and arrays in a column of JSON, big integers in them too", async () => {
    const { sql } = current;
    await sql.run("CREATE TABLE docs (d JSON)");
    const doc = `{"a":[1,null,"x"],"n":${BIG},"deep":{"e":1.5}}`;
    await sql.post("/execute", `{"sql":"INSERT INTO docs VALUES ($1), ($2)","params":[${doc},[1,[2]]]}`);

    const { text, json } = await sql.query("SELECT d FROM docs");

    expect(text).toContain(BIG);
    expect(json.rows.map((row: { d: unknown }) => row.d)).toMatchObject([{ deep: { e: 1.5 } }, [1, [2]]]);
    await sql.run("DROP TABLE docs");
  });

  it("never loses a value without a word: null only comes for null", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO people (id, name) VALUES (1, 'x')");

    expect(await sql.rows("SELECT age IS NULL AS is_null, age FROM people")).toMatchObject([{ age: null }]);
  });
}
