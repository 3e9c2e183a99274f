import { beforeEach, describe, expect, it } from "@jest/globals";
import { MikcarError } from "@mikcar/core";
import { useSandbox } from "./sandbox.ts";

const sandbox = useSandbox({ children: 1 });

describe("a thrown error", () => {
  it.each([
    ["in code", "\n  throw new RangeError('bad')", { name: "RangeError", line: 2, column: 9 }],
    ["in an expression", "\n\n null.x", { name: "TypeError", line: 3, column: 7 }],
    ["in a module", "const a = 1\nexport default function () {\n  throw new Error('bad')\n}", { line: 3, column: 9 }],
    [
      "in a module on the line of the export",
      "export default () => { throw new Error('bad') }",
      { line: 1, column: 30 },
    ],
    ["after an await", "export default async () => {\n await null;\n\n throw new Error('bad')}", { line: 4 }],
    ["in a function that is called", "const f = () => {\n throw new Error('bad') }\n\nreturn f()", { line: 2 }],
    ["at the top of a module", "\nlet a = nothing\nexport default 1", { name: "ReferenceError", line: 2 }],
    ["in a text that was evaluated", "\nreturn eval('1;\\nthrow new Error(1)')", { line: 2 }],
    ["in a promise that nobody awaits", "\nPromise.reject(new Error('bad'));\nreturn 1", { line: 2 }],
  ])("tells its place: %s", async (_name, source, details) => {
    expect(await sandbox.refusal(source)).toMatchObject({ code: "SCRIPT_ERROR", details });
  });

  it.each([
    ["a string", "throw 'no funds'", "no funds"],
    ["a number", "throw 5", "5"],
    ["null", "throw null", "null"],
    ["undefined", "throw undefined", "undefined"],
    ["a symbol", "throw Symbol('s')", "Symbol(s)"],
    ["an object", "throw { reason: 'x' }", '{"reason":"x"}'],
    ["an object with a message", "throw { message: 'x' }", "x"],
    [
      "an object in a promise that nobody awaits",
      "Promise.reject({ a: 1 }); return 1",
      "a promise was rejected, and nobody handled it",
    ],
    ["a rejection with a string", "return Promise.reject('no funds')", "no funds"],
    [
      "an error with a getter that throws",
      "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw 1 } }); throw e",
      "[a value that cannot be shown]",
    ],
    [
      "a hostile proxy",
      "throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 1 } })",
      "[a value that cannot be shown]",
    ],
    [
      "an error of a class of its own",
      "class Funds extends Error { constructor(m) { super(m); this.name = 'Funds' } }\nthrow new Funds('none')",
      "none",
    ],
  ])("tells its message: %s", async (_name, source, message) => {
    expect(await sandbox.refusal(source)).toMatchObject({ code: "SCRIPT_ERROR", message });
  });
});

describe("sql in a script", () => {
  beforeEach(() => void sandbox.asked.splice(0));

  it("gives rows and counts, at once and awaited", async () => {
    const source = `const rows = sql.query('SELECT $1', [1]);
      return [rows, await sql.query('SELECT 2'), sql.execute('UPDATE', ['x']), await sql.execute('DELETE')]`;

    expect(await sandbox.run(source)).toEqual([[{ id: 1, name: "Ada" }], [{ id: 1, name: "Ada" }], 1, 1]);
    expect(sandbox.asked).toEqual([
      { method: "query", text: "SELECT $1", params: [1] },
      { method: "query", text: "SELECT 2", params: [] },
      { method: "execute", text: "UPDATE", params: ["x"] },
      { method: "execute", text: "DELETE", params: [] },
    ]);
  });

  it("carries big integers both ways", async () => {
    const sql = async (_method: string, _text: string, params: unknown) =>
      `[{"n":9007199254740993,"p":"${String(params)}"}]`;

    const result = await sandbox.text(
      "const [{ n, p }] = sql.query('x', [2n ** 62n, 7n]); return [typeof n, n + 1n, p]",
      { sql },
    );

    expect(result).toBe('["bigint",9007199254740994,"4611686018427387904,7"]');
  });

  it("carries any text", async () => {
    const text = "SELECT \"é\", '\u{1F600}', `\n`, 12:34 -- \u0000";

    await sandbox.run("sql.query(input.text, [input.text])", { input: JSON.stringify({ text }) });

    expect(sandbox.asked).toEqual([{ method: "query", text, params: [text] }]);
  });

  it.each([
    ["sql.query()", /the first argument is the statement's text; it is undefined/],
    ["sql.query(['x'])", /it is an array/],
    ["sql.execute('x', 5)", /sql.execute: the second argument is the array of parameters.*number/],
    ["sql.query('x', { a: 1 })", /the second argument is the array/],
    ["sql.query('x', [1, NaN])", /parameter \$2 is NaN/],
    ["sql.query('x', [() => 1])", /parameter \$1 is/],
    ["sql.query('x', Object.assign([1], { toJSON: () => '[1]' }))", /do not become a JSON array/],
    ["sql.query('x'.repeat(17 * 2 ** 20))", /16 MiB/],
  ])("refuses %s", async (source, message) => {
    expect(await sandbox.refusal(source)).toMatchObject({
      message: expect.stringMatching(message),
      details: { line: 1 },
    });
    expect(sandbox.asked).toEqual([]);
  });

  it("lets a script catch what a statement throws", async () => {
    const sql = () => Promise.reject(new MikcarError("CONFLICT", "there is one already"));

    const result = await sandbox.run("try { sql.query('x') } catch (e) { return [e.message, e instanceof Error] }", {
      sql,
    });

    expect(result).toEqual(["there is one already", true]);
  });

  it.each(["\nsql.query('a')", "\nawait sql.query('a')", "export default () => {\n  sql.execute('a') }"])(
    "rejects with the statement's own error and the script's line: %j",
    async (source) => {
      const cause = new MikcarError("CONFLICT", "there is one already", { details: { sqlstate: "23505" } });

      const { error, details } = await sandbox.refusal(source, { sql: () => Promise.reject(cause) });

      expect(error).toMatchObject({ code: "CONFLICT", message: "there is one already", cause });
      expect(details).toMatchObject({ sqlstate: "23505", line: 2 });
    },
  );

  it("tells which of several failed statements was let out", async () => {
    const sql = (_method: string, text: string) => Promise.reject(new MikcarError("CONFLICT", text));
    const source =
      "let kept; for (const t of ['a', 'b', 'c']) try { sql.query(t) } catch (e) { if (t === 'b') kept = e }\nthrow kept";

    expect(await sandbox.refusal(source, { sql })).toMatchObject({ code: "CONFLICT", message: "b" });
  });

  it("hands on an error that is none of ours as it is", async () => {
    const fault = new Error("a fault");

    const { error } = await sandbox.refusal("sql.query('x')", { sql: () => Promise.reject(fault) });

    expect(error).toBe(fault);
  });

  it("hides a fault of the server's side from the script", async () => {
    const sql = () => Promise.reject(new MikcarError("INTERNAL_ERROR", "secret host db-7"));

    expect(await sandbox.run("try { sql.query('x') } catch (e) { return e.message }", { sql })).not.toContain("db-7");
  });

  it("calls it a SCRIPT_ERROR when a script throws something of its own over it", async () => {
    const sql = () => Promise.reject(new MikcarError("CONFLICT", "x"));

    const refusal = await sandbox.refusal("try { sql.query('x') } catch { throw new Error('mine') }", { sql });

    expect(refusal).toMatchObject({ code: "SCRIPT_ERROR", message: "mine" });
  });

  it("finishes what a script has started and not awaited", async () => {
    await sandbox.run("Promise.resolve().then(() => sql.execute('late')); return 1");

    expect(sandbox.asked.map(({ text }) => text)).toEqual(["late"]);
  });
});

describe("console in a script", () => {
  beforeEach(() => void sandbox.lines.splice(0));

  it("writes lines of three levels", async () => {
    await sandbox.run(
      "console.log('a', 1, { b: 2n }, [undefined]); console.info(null); console.debug(); console.warn(new Error('w')); console.error('é\\nf')",
    );

    // A sequence of statements is no expression: the script has no result, but its lines.
    expect(sandbox.lines).toEqual([
      { level: "info", text: 'a 1 {"b":2} [null]' },
      { level: "info", text: "null" },
      { level: "info", text: "" },
      { level: "warn", text: "Error: w" },
      { level: "error", text: "é\nf" },
    ]);
  });

  it("never fails the script", async () => {
    await sandbox.run(
      "const a = {}; a.a = a; console.log(a, Symbol('s'), { get x() { throw 1 } }, Object.create(null), () => 1)",
    );

    expect(sandbox.lines).toHaveLength(1);
  });

  it("keeps the first hundred lines and two KiB of each", async () => {
    await sandbox.run("for (let i = 0; i < 1000; i++) console.log(i, 'x'.repeat(1e5), 'y')");
    await sandbox.run("console.log('again')");

    expect(sandbox.lines).toHaveLength(102);
    expect(Math.max(...sandbox.lines.map(({ text }) => text.length))).toBe(2048);
    expect(sandbox.lines[100]?.text).toMatch(/100 lines/);
    expect(sandbox.lines[101]?.text).toBe("again");
  });
});

describe("a result", () => {
  it.each([
    ["a cycle", "const a = {}; a.a = a; return a", /cannot be written as JSON: Converting circular/],
    ["100 000 levels", "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a", /cannot be written as JSON/],
    ["a getter that throws", "return { get x() { throw new Error('mine') } }", /cannot be written as JSON: mine/],
    ["a toJSON that throws", "return { toJSON() { throw new Error('mine') } }", /mine/],
    ["a proxy that throws", "return new Proxy({}, { get() { throw new Error('mine') } })", /mine/],
    ["17 MiB", "return 'x'.repeat(17 * 2 ** 20)", /16 MiB/],
  ])("that is no JSON is a SCRIPT_ERROR: %s", async (_name, source, message) => {
    expect(await sandbox.refusal(source)).toMatchObject({
      code: "SCRIPT_ERROR",
      message: expect.stringMatching(message),
    });
  });

  it("may have megabytes", async () => {
    expect(await sandbox.run("return 'é'.repeat(4 * 2 ** 20)")).toBe("é".repeat(4 * 2 ** 20));
  });
});
