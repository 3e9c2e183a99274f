import { expect, it } from "@jest/globals";
import { failure, sqlFailure } from "../client.ts";
import type { Current } from "../contract.ts";

export function refusals(current: Current): void {
  it.each([
    ["sql", {}],
    ["sql", { sql: "" }],
    ["sql", { sql: 5 }],
    ["sql", { sql: "SELECT 1\0" }],
    ["params", { sql: "SELECT 1", params: {} }],
    ["params.0", { sql: "SELECT $1", params: ["a\0b"] }],
    ["params.1", { sql: "SELECT $1, $2", params: [1, { a: "\0" }] }],
    ["params.0", { sql: "SELECT $1", params: ["\ud800"] }],
    ["timeout_ms", { sql: "SELECT 1", timeout_ms: 0 }],
    ["timeout_ms", { sql: "SELECT 1", timeout_ms: "5" }],
    ["max_rows", { sql: "SELECT 1", max_rows: 0 }],
    ["int64", { sql: "SELECT 1", int64: "bigint" }],
  ])("refuses a query whose %s is wrong, naming it", async (field, body) => {
    const { status, json } = await current.sql.post("/query", body);

    expect([status, json]).toEqual([422, failure(422, "UNPROCESSABLE", [{ field, message: expect.anything() }])]);
  });

  it("refuses a number that no double can hold", async () => {
    const { status, json } = await current.sql.post("/query", '{"sql":"SELECT $1","params":[1e999]}');

    expect([status, json.details[0].field]).toEqual([422, "params.0"]);
  });

  it("refuses a parameter of endless depth", async () => {
    const deep = "[".repeat(5000) + "]".repeat(5000);

    expect((await current.sql.post("/query", `{"sql":"SELECT $1","params":[${deep}]}`)).status).toBe(422);
  });

  it.each([
    ["statements", {}],
    ["statements", { statements: [] }],
    ["statements.0.sql", { statements: [{}] }],
    ["isolation", { statements: [{ sql: "SELECT 1" }], isolation: "chaos" }],
  ])("refuses a batch whose %s is wrong, naming it", async (field, body) => {
    const { status, json } = await current.sql.post("/batch", body);

    expect([status, json.details[0].field]).toEqual([422, field]);
  });

  it("refuses a script that is none", async () => {
    const { status, json } = await current.sql.post("/script", { script: 5 });

    expect([status, json.details[0].field]).toEqual([422, "script"]);
  });

  it.each([
    "BEGIN",
    "begin transaction",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT a",
    "RELEASE a",
    "/* x */ COMMIT",
    "; COMMIT",
  ])("refuses %s on its own and in a batch: transactions are the sidecar's", async (text) => {
    const { sql } = current;

    const answers = [
      await sql.query(text),
      await sql.post("/execute", { sql: text }),
      await sql.batch("DELETE FROM pets", text),
    ];

    for (const { status, json } of answers) expect([status, json]).toEqual([400, sqlFailure(400, "0A000")]);
    expect(answers[2]?.json.details.statement).toBe(1);
  });

  it("asks for JSON", async () => {
    const { status } = await current.sql.post("/query", "SELECT 1", { headers: { "Content-Type": "text/plain" } });

    expect(status).toBe(415);
  });
}
