import { afterEach, describe, expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { childProcesses, untilQuiet, useSandbox } from "./sandbox.ts";

const CHILDREN = 2;
const sandbox = useSandbox({ children: CHILDREN });
const limits = { timeoutMs: 200, memoryMb: 32 };

/** After each: the next script works at once, nothing burns on, and no child is left over. */
afterEach(async () => {
  const startedAt = performance.now();
  expect(await sandbox.run("sql.query('SELECT 1').length + 1")).toBe(2);
  expect(performance.now() - startedAt).toBeLessThan(4000); // a spare child, or at worst the start of one on a busy machine

  await untilQuiet();
  expect(childProcesses().length).toBeLessThanOrEqual(CHILDREN + 1);
});

describe("SCRIPT_TIMEOUT ends", () => {
  it.each([
    ["an endless loop", "for (;;) {}"],
    ["an endless loop in a module", "export default () => { while (true) {} }"],
    ["an endless loop at the top of a module", "for (;;) {}\nexport default 1"],
    ["an endless loop that catches all", "for (;;) try { for (;;) {} } catch {} finally { continue }"],
    ["an endless loop around sql.query", "for (;;) sql.query('SELECT 1')"],
    ["an endless loop around sql.query that catches all", "for (;;) try { sql.query('SELECT 1') } catch {}"],
    ["an endless loop around a call that is refused", "for (;;) try { sql.query() } catch {}"],
    ["an endless loop of console lines", "for (;;) console.log('x')"],
    ["a loop of microtasks", "export default async () => { for (;;) await null }"],
    ["a loop of promises", "const f = () => Promise.resolve().then(f); return f()"],
    ["a loop of microtasks behind a result", "const f = () => Promise.resolve().then(f); f(); return 1"],
    ["a promise that never settles", "new Promise(() => {})"],
    ["a thenable that never settles", "await { then() {} }; return 1"],
    ["a generator without end", "function* f() { for (;;) yield 1 } return f().reduce((n) => n, 0)"],
    ["a catastrophic regex", "/^(a+)+$/.test('a'.repeat(40) + '!')"],
    ["a catastrophic regex in replace", "'a'.repeat(40).replace(/(a|aa)+$/g, () => { for (;;); })"],
    ["a getter without end in the result", "({ get x() { for (;;); } })"],
    ["a toJSON without end in a parameter", "sql.query('x', [{ toJSON() { for (;;); } }])"],
    ["a getter without end in an error", "throw { get message() { for (;;); } }"],
    ["a proxy without end", "const p = new Proxy({}, { get: (t, k, r) => r[k + 1] }); for (;;) try { p.x } catch {}"],
    ["a sort without end", "[3, 2, 1].sort(() => { for (;;); })"],
    ["the text of a giant integer", "(2n ** (2n ** 24n)).toString().length + (3n ** (2n ** 22n)).toString().length"],
  ])("%s", async (_name, source) => {
    const startedAt = performance.now();

    expect(await sandbox.refusal(source, limits)).toMatchObject({ code: "SCRIPT_TIMEOUT" });
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  it("a wait in sql, at the limit and without a kill", async () => {
    await sandbox.run("1");
    const before = childProcesses();
    const startedAt = performance.now();

    const refusal = await sandbox.refusal("sql.query('SELECT pg_sleep(60)')", {
      ...limits,
      sql: () => new Promise(() => {}),
    });

    expect(refusal).toMatchObject({ code: "SCRIPT_TIMEOUT", details: { timeout_ms: 200 } });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(190);
    expect(await sandbox.run("2")).toBe(2);
    expect(childProcesses()).toEqual(expect.arrayContaining(before));
  });

  it("a loop around waits in sql that catches all", async () => {
    const sql = () => new Promise<string>((resolve) => setTimeout(() => resolve("1"), 20));

    expect(await sandbox.refusal("for (;;) try { sql.execute('x') } catch {}", { ...limits, sql })).toMatchObject({
      code: "SCRIPT_TIMEOUT",
    });
  });

  it("a plain loop without the loss of a child", async () => {
    await sandbox.run("1");
    const before = childProcesses();

    await sandbox.refusal("for (;;);", limits);

    expect(childProcesses()).toEqual(expect.arrayContaining(before));
  });
});

/** What takes memory is ended by whichever limit it meets first. */
const LIMIT = expect.stringMatching(/^SCRIPT_(MEMORY|TIMEOUT)$/);

describe("a limit ends", () => {
  it.each([
    ["arrays without end", "const a = []; for (;;) a.push(new Array(1000).fill({}))"],
    ["one array without end", "const a = []; for (;;) a.push(a.length)"],
    ["nested arrays without end", "let a = []; for (;;) a = [a, a]"],
    ["strings without end", "let s = 'x'; const a = []; for (;;) { s += s.length; a.push(s.split('').join('')) }"],
    ["a string that doubles", "let s = 'abcdefgh'; for (;;) s += s"],
    [
      "big strings in an array",
      "const a = []; for (let i = 0; ; i++) a.push(i + 'x'.repeat(2 ** 24) + i, JSON.stringify(a).length)",
    ],
    ["Maps without end", "const m = new Map(); for (let i = 0; ; i++) m.set('k' + i, i)"],
    ["Sets without end", "const s = new Set(); for (let i = 0; ; i++) s.add(i + 0.5)"],
    ["objects without end", "const o = {}; for (let i = 0; ; i++) o['k' + i] = i"],
    ["array buffers without end", "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))"],
    [
      "growing buffers",
      "const b = new ArrayBuffer(8, { maxByteLength: 2 ** 30 }); for (let n = 8; ; n *= 2) { b.resize(n); new Uint8Array(b).fill(1) }",
    ],
    ["a buffer of a gigabyte", "new Uint8Array(2 ** 30).length"],
    ["a giant array", "new Array(2 ** 29).fill(1.1).length"],
    ["closures without end", "let f = () => 1; for (;;) { const g = f; f = () => g }"],
    ["promises without end", "const all = []; for (;;) all.push(Promise.resolve(new Promise(() => {})))"],
    ["functions without end", "const all = []; for (let i = 0; ; i++) all.push(new Function('return ' + i))"],
    [
      "regexes without end",
      "const all = []; for (let i = 0; ; i++) { const r = new RegExp('a{' + (i % 900) + '}b' + i); r.test('aab'); all.push(r) }",
    ],
    ["symbols without end", "for (let i = 0; ; i++) Symbol.for('s'.repeat(100) + i)"],
    ["a string beyond what V8 holds", "'x'.repeat(2 ** 29)"],
    ["the biggest string, flat", "const s = 'x'.repeat(2 ** 29 - 30); return s.split('').length"],
    ["a giant integer", "(2n ** (2n ** 29n)).toString()"],
    ["giant integers", "let n = 3n; for (;;) n *= n"],
    ["endless recursion", "const f = () => f(); f()"],
    ["endless recursion that catches all", "const f = () => { try { return f() } finally { f() } }; f()"],
    ["endless recursion through sql.query", "const p = [{ toJSON() { return sql.query('x', p) } }]; sql.query('x', p)"],
    ["endless recursion in a toString", "const o = { toString() { return `${o}` } }; `${o}`"],
    [
      "memory that a microtask takes",
      "const a = []; const f = async () => { for (;;) { await null; a.push(new Array(1e4).fill(0)) } }; f(); return 1",
    ],
  ])("%s", async (_name, source) => {
    const startedAt = performance.now();

    expect(await sandbox.refusal(source, limits)).toMatchObject({ code: LIMIT });
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  it("what grows beyond the memory limit before its time is up", async () => {
    const source = "const a = []; for (let i = 0; ; i++) a.push(new Array(1000).fill(i))";

    expect(await sandbox.refusal(source, { timeoutMs: 10_000, memoryMb: 32 })).toMatchObject({ code: "SCRIPT_MEMORY" });
  });

  it("what takes memory beside V8's heap", async () => {
    const source =
      "const a = []; for (let i = 0; ; i++) a.push(('x'.repeat(2 ** 20) + i).split('y'), 'y'.repeat(2 ** 22) + i)";

    expect(await sandbox.refusal(source, { timeoutMs: 10_000, memoryMb: 32 })).toMatchObject({ code: "SCRIPT_MEMORY" });
  });

  it("a dozen hostile scripts at once, while others work", async () => {
    const hostile = [
      "for (;;);",
      "const m = new Map(); for (let i = 0; ; i++) m.set('k' + i, i)",
      "const f = () => f(); f()",
    ];
    const refusals = Array.from({ length: 12 }, (_, i) =>
      sandbox.refusal(hostile[i % 3] ?? "", { timeoutMs: 100, memoryMb: 16 }),
    );
    const results = Array.from({ length: 20 }, (_, i) => sandbox.run(`${i} + 0`));

    expect((await Promise.all(refusals)).map(({ code }) => code)).toEqual(Array.from({ length: 12 }, () => LIMIT));
    expect(await Promise.all(results)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

/** Each would be the way to Node, were there one. */
const WALKS = [
  "sql.query.constructor('return process')()",
  "sql.constructor.constructor('return process')()",
  "console.log.constructor('return process')()",
  "input.constructor.constructor('return process')()",
  "(() => {}).constructor('return process')()",
  "(async () => {}).constructor('return process')()",
  "(function* () {}).constructor('return process')().next().value",
  "globalThis.constructor.constructor('return process')()",
  "Function.prototype.call.constructor('return process')()",
  "eval('process')",
  "(0, eval)('process')",
  "new Function('return require')()",
  "try { sql.query(1) } catch (e) { return e.constructor.constructor('return process')() }",
  "try { sql.query('fail') } catch (e) { return e.constructor.constructor('return process')() }",
  "sql.query('SELECT 1').constructor.constructor('return process')()",
  "Reflect.getPrototypeOf(globalThis).constructor.constructor('return process')()",
  "Error.prepareStackTrace = (_, sites) => sites.map((s) => s.getThis()); new Error().stack",
  "(function () { return arguments.callee.caller })()",
  "new Function('return this')().process.exit()",
  "const f = new Function('return f.caller'); globalThis.f = f; sql.query('x', [{ toJSON: f }]); return f().constructor('return process')()",
  "import('node:fs')",
  "eval(\"import('node:fs')\")",
  "(await eval(\"import('node:fs')\")).readFileSync('/etc/passwd')",
  "new WebAssembly.Module(new Uint8Array(8)).x.y",
];

describe("there is no way to the host:", () => {
  it.each(WALKS)("%s", async (source) => {
    const sql = () => Promise.reject(new Error("fails"));

    expect(await sandbox.refusal(source, { sql })).toMatchObject({ message: expect.not.stringMatching(/passwd|root/) });
  });

  it("has plain JavaScript, sql and console, and no more", async () => {
    const names = await sandbox.run(
      "Reflect.ownKeys(globalThis).filter((k) => !/^[A-Z]/.test(String(k))).map(String).sort()",
    );

    expect(names).toEqual([
      "console",
      "decodeURI",
      "decodeURIComponent",
      "encodeURI",
      "encodeURIComponent",
      "escape",
      "eval",
      "globalThis",
      "isFinite",
      "isNaN",
      "parseFloat",
      "parseInt",
      "sql",
      "undefined",
      "unescape",
    ]);
    expect(
      await sandbox.run(
        "[typeof process, typeof require, typeof ivm, typeof Atomics, typeof SharedArrayBuffer, typeof WebAssembly, typeof setTimeout, typeof fetch]",
      ),
    ).toEqual(Array.from({ length: 8 }, () => "undefined"));
  });

  it("shows only the script's own frames and the sandbox's", async () => {
    const stack = await sandbox.run("new Error('x').stack");

    expect(stack).not.toMatch(/child|realm|file:|node:/);
  });
});

describe("overwriting what scripts stand on", () => {
  it.each([
    "sql = { query: () => [] }",
    "sql.query = () => []",
    "globalThis.sql = 1",
    "delete globalThis.sql",
    "JSON = { stringify: () => '1' }",
    "JSON.stringify = () => '1'",
    "Object.prototype.toJSON = () => 1",
    "Object.prototype.polluted = 1",
    "Object.defineProperty(Object.prototype, 'then', { get() {} })",
    "Array.prototype.push = () => 1",
    "Promise.prototype.then = () => 1",
    "Promise = class {}",
    "Function.prototype.call = () => 1",
    "Error.prepareStackTrace = () => 1",
    "Error.stackTraceLimit = 0",
    "WeakMap.prototype.get = () => 0",
    "RegExp.prototype.exec = () => null",
    "String.prototype.slice = () => ''",
    "Symbol.iterator.constructor.prototype.x = 1",
    "Object.setPrototypeOf(Object.prototype, { x: 1 })",
    "Object.setPrototypeOf(sql, null)",
    "Reflect.getPrototypeOf(function* () {}.prototype).next = 1",
    "console.log = () => 1",
  ])("fails: %s", async (source) => {
    expect(await sandbox.refusal(`${source};\nreturn 1`)).toMatchObject({
      code: "SCRIPT_ERROR",
      details: { name: "TypeError", line: 1 },
    });
  });

  it("stays possible on a script's own objects", async () => {
    const source = `
      const counts = {}; counts.constructor = 1; counts.toString = () => 'own'; counts.hasOwnProperty = 3;
      class Funds extends Error { constructor() { super('x'); this.name = 'Funds'; this.toString = () => 'f' } }
      const f = () => 1; f.call = 2; f.toString = () => 'fn';
      const p = Promise.resolve(); p.then = undefined;
      const d = new Date(0); d.toJSON = () => 'date';
      class A { toString() { return 'A' } valueOf() { return 1 } }
      function B() {} B.prototype.constructor = A; B.prototype.toString = () => 'B';
      const error = new TypeError('t'); error.message = 'm'; error.name = 'N';
      return [counts, String(counts), new Funds().name, f.call, String(f), { d }, String(new A()), String(new B()), String(error), Object.keys(counts)]`;

    expect(await sandbox.run(source)).toEqual([
      { constructor: 1, hasOwnProperty: 3 },
      "own",
      "Funds",
      2,
      "fn",
      { d: "date" },
      "A",
      "B",
      "N: m",
      ["constructor", "toString", "hasOwnProperty"],
    ]);
  });
});

it("has no process left when a hostile script is all there was", async () => {
  const own = childProcesses();
  await sandbox.refusal("(2n ** (2n ** 29n)).toString()", limits);

  await until("the killed child is gone", () => own.filter((pid) => !childProcesses().includes(pid)).length <= 1);
});
