import { describe, expect, it } from "@jest/globals";
import { useSandbox } from "./sandbox.ts";

const sandbox = useSandbox({ children: 1 });
const input = '{"a":1,"big":9007199254740993}';

const forms: [name: string, source: string, result: string][] = [
  ["a function", "export default function (given) { return given.a + input.a }", "2"],
  ["a named function", "export default function main({ a }) { return [a, typeof main] }", '[1,"function"]'],
  ["an async function", "export default async function ({ a }) { await null; return a }", "1"],
  ["an arrow function", "export default ({ a }) => a", "1"],
  ["an async arrow function in brackets", "export default (async ({ a }) => a)", "1"],
  [
    "helpers around the export",
    "const k = 2\nexport default main\nfunction main(i) { return add(i.a, k, late) }\nconst add = (...n) => n.length\nlet late",
    "3",
  ],
  [
    "a helper that calls the exported function",
    "export default function f(n) { return n === 0 ? 0 : g() }\nfunction g() { return f(0) + 7 }",
    "7",
  ],
  [
    "an anonymous function followed by a bracket",
    "export default function () { return 1 }\n(() => { throw new Error() })",
    "1",
  ],
  ["an export over several lines", "export\n  default /* here */\n  async () => 3", "3"],
  [
    "an expression that makes the function",
    "const twice = (f) => (x) => f(f(x));\nexport default twice(({ a }) => ({ a: a + 1 }));",
    '{"a":3}',
  ],
  ["a value", "export default 5", "5"],
  ["await at the top of a module", "const k = await 4\nexport default () => k", "4"],
  ["a module with an `input` of its own", "const input = 3\nexport default () => input", "3"],
  ["a name that the wrapper would take", "const $default = 1, $call = 2\nexport default () => $default + $call", "3"],
  ["a comment at the end", "export default () => 1 // the end", "1"],
  ["code with return", "const x = input.a;\nreturn x + 1", "2"],
  ["code with await", "const x = await sql.query('SELECT 1'); return x.length", "1"],
  ["code with await in a loop only", "let n = 0; for await (const x of [1, 2]) n += x; return n", "3"],
  ["code with an early return", "if (input.a === 1) return 'one'; return 'other'", '"one"'],
  ["code with functions", "function f() { return g() } const g = () => 4; return f()", "4"],
  ["code without return", "const x = 1;", "null"],
  ["code with an `input` of its own", "const input = 1; return input", "1"],
  ["an expression", "1 + 1", "2"],
  ["an expression with a semicolon and a comment", "  input.a; // one\n", "1"],
  ["an object", "{ a: input.a, b: [2] }", '{"a":1,"b":[2]}'],
  ["an expression with await", "(await sql.query('SELECT 1'))[0].name", '"Ada"'],
  ["a call that gives a promise", "(async () => 8)()", "8"],
  ["a thenable", "({ then(done) { done(6) } })", "6"],
  ["a template", "`${input.a}!`", '"1!"'],
  ["an empty text", "", "null"],
  ["undefined", "undefined", "null"],
  ["a function as the value", "() => 1", "null"],
  ["a symbol as the value", "Symbol('x')", "null"],
  [
    "what JSON makes of it",
    "[undefined, NaN, new Date(0), { u: undefined }, 'é']",
    '[null,null,"1970-01-01T00:00:00.000Z",{},"é"]',
  ],
  ["a big integer of the input", "input.big", "9007199254740993"],
  ["big integers", "({ a: 2n ** 63n, b: -1n })", '{"a":9223372036854775808,"b":-1}'],
  ["modern syntax", "class A { #x = 1; static { this.y = 2 } get x() { return this.#x } } return new A().x + A.y", "3"],
];

describe("a script may be", () => {
  it.each(forms)("%s", async (_name, source, result) => {
    expect(await sandbox.text(source, { input })).toBe(result);
    expect(await sandbox.text(source, { input })).toBe(result); // again, in the realm that is there
  });
});

const faults: [name: string, source: string, message: RegExp, line: number][] = [
  ["a syntax error", "const a = 1;\n\n  foo(", /unexpected token/i, 3],
  ["brackets that would leave the wrapper", "}; globalThis.x = 1; {", /unexpected token/i, 1],
  ["brackets that would leave two wrappers", "})(); (function () {", /unexpected token/i, 1],
  ["an expression that would leave its brackets", "1); (2", /unexpected token/i, 1],
  [
    "a module that reads otherwise as a script",
    "export default 1\n0<!--x; function f() {\n}; globalThis.x = 1;\nfunction g() {\n0<!--y; }\n",
    /unexpected token/i,
    3,
  ],
  ["an import", "\nimport fs from 'node:fs'\nexport default 1", /import is not possible/, 2],
  ["a dynamic import", "return 1 +\nawait import('node:fs')", /import\(\) is not possible/, 2],
  [
    "a dynamic import in a function",
    "export default async () => {\n  return import('x') }",
    /import\(\) is not possible/,
    2,
  ],
  ["import.meta", "export default () => import.meta.url", /import\.meta is not possible/, 1],
  ["another export", "export default 1;\nexport const a = 1", /remove this export/, 2],
  ["a second default", "export default 1;\nexport default 2", /duplicate export/i, 2],
  ["sloppy code", "with ({}) {}", /strict/, 1],
];

describe("SCRIPT_ERROR with the line, for", () => {
  it.each(faults)("%s", async (_name, source, message, line) => {
    const refusal = await sandbox.refusal(source);

    expect(refusal).toMatchObject({ code: "SCRIPT_ERROR", message: expect.stringMatching(message), details: { line } });
  });

  it("a module without a default", async () => {
    const refusal = await sandbox.refusal("export {}");

    expect(refusal).toMatchObject({ code: "SCRIPT_ERROR", message: expect.stringMatching(/remove this export/) });
  });

  it("a text that is nested too deeply", async () => {
    const refusal = await sandbox.refusal("[".repeat(100_000));

    expect(refusal).toMatchObject({ code: "SCRIPT_ERROR", message: expect.stringMatching(/stack|deep/) });
  });
});

it("keeps import as a word in strings and comments", async () => {
  expect(await sandbox.run("return 'import x; export default' // import('y')")).toBe("import x; export default");
});
