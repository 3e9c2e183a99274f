import { expect, it } from "@jest/globals";
import type { Current } from "../contract.ts";

/** The script of the public page: it reads, decides, then writes. */
const TRANSFER = `export default function (input) {
  const from = sql.query("SELECT balance FROM accounts WHERE id = $1", [input.from]);
  if (from.length === 0) throw new Error("no such account");
  if (from[0].balance < input.amount) throw new Error("insufficient funds");
  sql.execute("UPDATE accounts SET balance = balance - $1 WHERE id = $2", [input.amount, input.from]);
  sql.execute("UPDATE accounts SET balance = balance + $1 WHERE id = $2", [input.amount, input.to]);
  return { moved: input.amount };
}`;

export function transfers(current: Current): void {
  it("moves money, and tells how many statements it took", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES (1, 100), (2, 0)");

    const { status, json } = await sql.script(TRANSFER, { from: 1, to: 2, amount: 30 });

    expect([status, json]).toEqual([200, { result: { moved: 30 }, queries_executed: 3 }]);
    expect(await sql.rows("SELECT balance FROM accounts ORDER BY id")).toEqual([{ balance: 70 }, { balance: 30 }]);
  });

  it("never overdraws, and loses no transfer, with 200 at once", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES (1, 100), (2, 100)");

    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        sql.script(TRANSFER, { from: (at % 2) + 1, to: 2 - (at % 2), amount: 1 + (at % 7) }),
      ),
    );

    const odd = answers.filter(({ status, json }) => status !== 200 && json.error !== "insufficient funds");
    expect(odd.map(({ text }) => text)).toEqual([]);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(50);
    const [{ total, least }] = (await sql.rows(
      "SELECT SUM(balance) + 0 AS total, MIN(balance) AS least FROM accounts",
    )) as [{ total: number | string; least: number }];
    expect(Number(total)).toBe(200);
    expect(least).toBeGreaterThanOrEqual(0);
  });

  it("spends what is there exactly once, with 100 who want it at once", async () => {
    const { sql } = current;
    await sql.run("INSERT INTO accounts VALUES (1, 20), (2, 0)");

    const answers = await Promise.all(
      Array.from({ length: 100 }, () => sql.script(TRANSFER, { from: 1, to: 2, amount: 1 })),
    );

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    expect(answers.filter(({ json }) => json.error === "insufficient funds")).toHaveLength(80);
    expect(await sql.rows("SELECT balance FROM accounts ORDER BY id")).toEqual([{ balance: 0 }, { balance: 20 }]);
  });
}
