import { expect, it } from "@jest/globals";
import { sqlFailure } from "../client.ts";
import type { Current } from "../contract.ts";

export function batches(current: Current): void {
  it("runs statements in order, and counts what each has changed", async () => {
    const { status, json } = await current.sql.batch(
      ["INSERT INTO people (id, name) VALUES ($1, $2), (2, 'b')", 1, "a"],
      "UPDATE people SET age = 5",
      "DELETE FROM people WHERE id = 2",
    );

    expect([status, json]).toMatchObject([
      200,
      {
        status: "ok",
        statements_executed: 3,
        total_rows_affected: 5,
        results: [{ rows_affected: 2 }, { rows_affected: 2 }, { rows_affected: 1 }],
      },
    ]);
    expect(await current.sql.rows("SELECT id, age FROM people")).toEqual([{ id: 1, age: 5 }]);
  });

  it("lets a statement use what one before it has made", async () => {
    const { sql } = current;

    const { status } = await sql.batch(
      "CREATE TABLE made (a JSON)",
      ["INSERT INTO made VALUES ($1)", [1, 2]],
      "DROP TABLE made",
    );

    expect(status).toBe(200);
  });

  it("rolls all back when one fails, and tells which", async () => {
    const { sql } = current;

    const { status, json } = await sql.batch(
      "INSERT INTO people (id, name) VALUES (1, 'a')",
      "INSERT INTO people (id, name) VALUES (1, 'b')",
      "INSERT INTO people (id, name) VALUES (3, 'c')",
    );

    expect([status, json]).toEqual([409, sqlFailure(409, "23505", { statement: 1 })]);
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it("rolls all back when a statement is none", async () => {
    const { sql } = current;

    const { status, json } = await sql.batch("INSERT INTO people (id, name) VALUES (1, 'a')", "-- nothing");

    expect([status, json]).toEqual([400, sqlFailure(400, "42601", { statement: 1 })]);
    expect(await sql.rows("SELECT * FROM people")).toEqual([]);
  });

  it.each(["serializable", "repeatable read", "read committed"])("takes the isolation %s", async (isolation) => {
    const { status } = await current.sql.post("/batch", { statements: [{ sql: "DELETE FROM pets" }], isolation });

    expect(status).toBe(200);
  });

  it("keeps many batches apart", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES (1, 0), (2, 0)");

    const answers = await Promise.all(
      Array.from({ length: 40 }, () =>
        sql.batch(
          "UPDATE accounts SET balance = balance + 1 WHERE id = 1",
          "UPDATE accounts SET balance = balance - 1 WHERE id = 2",
        ),
      ),
    );

    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await sql.rows("SELECT balance FROM accounts ORDER BY id")).toEqual([{ balance: 40 }, { balance: -40 }]);
  });
}
