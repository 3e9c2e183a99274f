/** A token with `sql:read`: it reads all there is and changes nothing, whatever it sends, on both databases. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { type Answer, ask, temporaryFolder } from "@mikcar/devkit";
import { type PostgresServer, startPostgres } from "@mikcar/devkit/postgres";
import { SqlService } from "../src/service.ts";

const TOKENS = JSON.stringify({ reader: { scopes: ["sql:read"] }, writer: { scopes: ["sql"] } });

const folder = temporaryFolder();
let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
}, 60_000);
afterAll(async () => {
  await postgres.remove();
  folder.remove();
});

describe.each<["Postgres" | "SQLite", () => Promise<string>]>([
  ["Postgres", () => postgres.freshUrl()],
  ["SQLite", async () => `sqlite://${folder.path}/read-only.db`],
])("on %s a token that reads", (database, open) => {
  let server: Server;
  beforeAll(async () => {
    const builder = new SidecarBuilder()
      .port(0)
      .log(await createLog("silent"))
      .tokens(TOKENS);
    server = await builder.add(await SqlService.fromUrl(await open())).serve();
    const made = await call("writer", "batch", {
      statements: [
        { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)" },
        { sql: "INSERT INTO t VALUES (1, 10), (2, 20)" },
        ...(database === "Postgres" ? [{ sql: "CREATE SEQUENCE s" }] : []),
      ],
    });
    expect([made.status, made.text]).toEqual([200, expect.anything()]);
  });
  afterAll(() => server.close());

  function call(token: string, route: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(server.url ?? "", `/sql/${route}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}`, ...headers },
      body: JSON.stringify(body),
    });
  }

  async function expectUnchanged(): Promise<void> {
    const { json } = await call("writer", "query", { sql: "SELECT id, n FROM t ORDER BY id" });
    expect(json.rows).toEqual([
      { id: 1, n: 10 },
      { id: 2, n: 20 },
    ]);
  }

  it("reads by every route, with parameters and as a stream", async () => {
    const sql = "SELECT n FROM t WHERE id = $1";
    const query = await call("reader", "query", { sql, params: [2] });
    const execute = await call("reader", "execute", { sql, params: [2] });
    const batch = await call("reader", "batch", {
      statements: [
        { sql, params: [1] },
        { sql, params: [2] },
      ],
    });
    const script = await call("reader", "script", {
      script: `sql.query("SELECT sum(n) AS n FROM t")[0].n + sql.query("SELECT 1 AS n")[0].n`,
    });
    const stream = await call(
      "reader",
      "query",
      { sql: "SELECT id FROM t ORDER BY id" },
      { Accept: "application/x-ndjson" },
    );

    expect(query.json.rows).toEqual([{ n: 20 }]);
    expect(execute.json.rows_affected).toBe(1);
    expect(batch.json.statements_executed).toBe(2);
    expect(Number(script.json.result)).toBe(31);
    expect(stream.text).toBe('{"id":1}\n{"id":2}\n');
  });

  it.each([
    "INSERT INTO t VALUES (3, 30)",
    "UPDATE t SET n = 0",
    "DELETE FROM t",
    "INSERT INTO t VALUES (3, 30) RETURNING id",
    "CREATE TABLE u (id INTEGER)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN m INTEGER",
    "CREATE INDEX i ON t (n)",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT 9, 9 FROM x",
  ])("is refused %s on every route", async (sql) => {
    const answers = [
      await call("reader", "query", { sql }),
      await call("reader", "query", { sql }, { Accept: "application/x-ndjson" }),
      await call("reader", "execute", { sql }),
      await call("reader", "batch", { statements: [{ sql: "SELECT 1" }, { sql }] }),
      await call("reader", "script", { script: `sql.execute(${JSON.stringify(sql)})` }),
    ];

    for (const { status, json } of answers) {
      expect([status, json.code, json.details?.sqlstate]).toEqual([403, "FORBIDDEN", "25006"]);
      expect(json.error).toBe("this token only reads, and the statement would change something");
    }
    await expectUnchanged();
  });

  it("is refused a script that catches what it was refused", async () => {
    const script = `try { sql.execute("DELETE FROM t") } catch {}; try { sql.execute("DELETE FROM t") } catch {}; 1`;

    expect((await call("reader", "script", { script })).status).toBe(403);
    await expectUnchanged();
  });

  it("cannot make itself one that writes", async () => {
    const ways =
      database === "Postgres"
        ? [
            "SET TRANSACTION READ WRITE",
            "SET transaction_read_only = off",
            "SET LOCAL transaction_read_only TO off",
            "SELECT set_config('transaction_read_only', 'off', true)",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "ROLLBACK TO SAVEPOINT mikcar_read_only",
            "RELEASE SAVEPOINT mikcar_read_only",
            "ROLLBACK",
            "COMMIT",
          ]
        : ["PRAGMA query_only = 0", "PRAGMA writable_schema = 1", "ROLLBACK", "COMMIT", "ATTACH 'x' AS x"];
    for (const way of ways) {
      const write = { sql: "DELETE FROM t" };
      const batch = await call("reader", "batch", { statements: [{ sql: way }, write] });
      const script = await call("reader", "script", {
        script: `try { sql.execute(${JSON.stringify(way)}) } catch {}; sql.execute("DELETE FROM t")`,
      });
      await call("reader", "query", { sql: way });

      expect([way, batch.status >= 400, script.status >= 400]).toEqual([way, true, true]);
      await expectUnchanged();
    }
    expect((await call("reader", "query", { sql: "DELETE FROM t" })).status).toBe(403);
  });

  it("leaves nothing behind for those that write", async () => {
    await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        index % 2 === 0
          ? call("reader", "batch", { statements: [{ sql: "SELECT 1" }] })
          : call("reader", "execute", { sql: "DELETE FROM t" }),
      ),
    );

    const writes = await Promise.all(
      Array.from({ length: 20 }, () => call("writer", "execute", { sql: "UPDATE t SET n = n WHERE id = 1" })),
    );
    expect(writes.every(({ status }) => status === 200)).toBe(true);
    await expectUnchanged();
  });

  if (database === "Postgres") {
    it("draws nothing from a sequence", async () => {
      expect((await call("reader", "query", { sql: "SELECT nextval('s')" })).status).toBe(403);
      expect((await call("writer", "query", { sql: "SELECT nextval('s') AS n" })).json.rows).toEqual([{ n: 1 }]);
    });
  }
});
