/**
 * A realm is used again for the same caller and text. Each script here hides a secret in its first run and looks for it
 * in the second; the secret comes with the input of the first run only.
 */

import { describe, expect, it } from "@jest/globals";
import { Realm } from "../../src/script/realm.ts";
import { wrap } from "../../src/script/source.ts";
import { useSandbox } from "./sandbox.ts";

const SECRET = "s3cr3t";
const sandbox = useSandbox({ children: 1 });

/** [where, how to hide `input.secret`, an expression that looks for it]. A hiding place that is closed throws: that is fine. */
const places: [where: string, hide: string, look: string][] = [
  ["a global", "globalThis.x = S", "globalThis.x"],
  ["an implicit global of sloppy code", "new Function('s', 'x = s')(S)", "globalThis.x"],
  ["a var of an indirect eval", "(0, eval)('var x = ' + JSON.stringify(S))", "globalThis.x"],
  [
    "a function of an indirect eval",
    "(0, eval)('function x() { return ' + JSON.stringify(S) + '}')",
    "globalThis.x?.()",
  ],
  [
    "a let of an indirect eval",
    "(0, eval)('let x = ' + JSON.stringify(S))",
    "(0, eval)('typeof x === \"undefined\" ? 0 : x')",
  ],
  ["a symbol on the global", "globalThis[Symbol.for('x')] = S", "globalThis[Symbol.for('x')]"],
  ["a well-known symbol on the global", "globalThis[Symbol.iterator] = S", "globalThis[Symbol.iterator]"],
  ["a hidden property of the global", "Object.defineProperty(globalThis, 'x', { value: S })", "globalThis.x"],
  [
    "a hidden property that can be removed",
    "Object.defineProperty(globalThis, 'x', { value: S, configurable: true })",
    "globalThis.x",
  ],
  [
    "a getter of the global",
    "Object.defineProperty(globalThis, 'x', { get: () => S, configurable: true })",
    "globalThis.x",
  ],
  ["a global that shadows a built-in", "globalThis.JSON = { stringify: () => S }", "JSON.stringify(1)"],
  ["a redefined built-in", "Object.defineProperty(globalThis, 'Math', { value: { x: S } })", "Math.x"],
  ["undefined", "Object.defineProperty(globalThis, 'undefined', { value: S })", "globalThis.undefined"],
  ["the prototype of the global", "Object.setPrototypeOf(globalThis, { x: S })", "globalThis.x"],
  [
    "a proxy as the prototype of the global",
    "Object.setPrototypeOf(globalThis, new Proxy({}, { get: () => S, has: () => true, ownKeys: () => [S] }))",
    "globalThis.anything",
  ],
  ["the global's own prototype object", "Object.getPrototypeOf(globalThis).x = S", "globalThis.x"],
  ["a sealed global", "globalThis.x = S; Object.preventExtensions(globalThis)", "globalThis.x"],
  ["a frozen global", "globalThis.x = S; Object.freeze(globalThis)", "globalThis.x"],
  [
    "whether the global can be extended",
    "S === undefined || Object.preventExtensions(globalThis)",
    "Object.isExtensible(globalThis) ? 0 : 's3cr3t'",
  ],
  ["Object.prototype", "Object.prototype.x = S", "({}).x"],
  ["Object.prototype, defined", "Object.defineProperty(Object.prototype, 'x', { value: S })", "({}).x"],
  ["a method's property", "Array.prototype.map.x = S", "[].map.x"],
  [
    "a setter of the hardened prototypes",
    "Object.getOwnPropertyDescriptor(Object.prototype, 'toString').set.x = S",
    "Object.getOwnPropertyDescriptor(Object.prototype, 'toString').set.x",
  ],
  [
    "a value behind those setters",
    "Object.getOwnPropertyDescriptor(Error.prototype, 'message').set.call(Error.prototype, S)",
    "new Error().message",
  ],
  [
    "a built-in as the target of those setters",
    "Object.getOwnPropertyDescriptor(Object.prototype, 'constructor').set.call(Math, S)",
    "Math.constructor",
  ],
  [
    "the global as the target of those setters",
    "Object.getOwnPropertyDescriptor(Object.prototype, 'constructor').set.call(globalThis, S)",
    "globalThis.constructor",
  ],
  ["__proto__ of a built-in", "Math.__proto__ = { x: S }", "Math.x"],
  ["__defineGetter__", "Math.__defineGetter__('x', () => S)", "Math.x"],
  ["sql", "sql.x = S", "sql.x"],
  ["a method of sql", "sql.query.x = S", "sql.query.x"],
  ["the prototype of a method of sql", "Object.setPrototypeOf(sql.query, { x: S })", "sql.query.x"],
  ["console", "console.log.x = S; console.x = S", "console.x ?? console.log.x"],
  ["the generator's prototype", "Object.getPrototypeOf((function* () {})()).__proto__.x = S", "(function* () {})().x"],
  ["the iterator's prototype", "Object.getPrototypeOf([][Symbol.iterator]()).x = S", "[][Symbol.iterator]().x"],
  [
    "the async generator's prototype",
    "Object.getPrototypeOf(Object.getPrototypeOf((async function* () {}).prototype)).x = S",
    "(async function* () {})().x",
  ],
  ["the async function's prototype", "Object.getPrototypeOf(async () => {}).x = S", "(async () => {}).x"],
  [
    "the iterator helper's prototype",
    "Object.getPrototypeOf([].values().map((x) => x)).x = S",
    "[].values().map((x) => x).x",
  ],
  [
    "the wrapped iterator's prototype",
    "Object.getPrototypeOf(Iterator.from({ next() {} })).x = S",
    "Iterator.from({ next() {} }).x",
  ],
  ["the regex string iterator's prototype", "Object.getPrototypeOf(''.matchAll(/x/g)).x = S", "''.matchAll(/x/g).x"],
  ["the map iterator's prototype", "Object.getPrototypeOf(new Map().keys()).x = S", "new Map().keys().x"],
  [
    "the segmenter's prototypes",
    "Object.getPrototypeOf(new Intl.Segmenter().segment('a')).x = S",
    "new Intl.Segmenter().segment('a').x",
  ],
  ["the typed array's prototype", "Object.getPrototypeOf(Int8Array).x = S", "Int8Array.x"],
  [
    "the thrower of strict arguments",
    "Object.getOwnPropertyDescriptor(arguments, 'callee').get.x = S",
    "Object.getOwnPropertyDescriptor(arguments, 'callee').get.x",
  ],
  ["arguments of the wrapper", "arguments[0] = S", "arguments[0]"],
  [
    "the callee of sloppy arguments",
    "new Function('return arguments.callee')().x = S",
    "new Function('return arguments.callee')().x",
  ],
  ["RegExp.$1", "/(.*)/.exec(S)", "RegExp.$1 || RegExp['$&'] || RegExp.input || RegExp.lastMatch"],
  ["the last index of a regex literal", "const f = () => /./g; f().lastIndex = 3; f().x = S", "(() => /./g)().x"],
  ["a template object", "((t) => { t.x = S; t.raw.x = S })`a`", "((t) => t.x ?? t.raw.x)`a`"],
  [
    "a private field on a built-in",
    "class P extends (function (o) { return o }) { #x = S; static get(o) { return #x in o && o.#x } } new P(Math); globalThis.P = P",
    "globalThis.P?.get(Math)",
  ],
  ["a class in a closure", "class A { static x = S } globalThis.A = A", "globalThis.A?.x"],
  ["Symbol.for", "Symbol.for(S).x = S", "Symbol.for('s3').x"],
  [
    "a description of a registered symbol",
    "Symbol.for('k').description = S",
    "Symbol.for('k').description === 'k' ? 0 : 1",
  ],
  ["Error.prepareStackTrace", "Error.prepareStackTrace = () => S", "new Error().stack"],
  ["Error.stackTraceLimit", "Error.stackTraceLimit = S.length", "Error.stackTraceLimit === 10 ? 0 : 's3cr3t'"],
  ["Error.captureStackTrace on a built-in", "Error.captureStackTrace(Math)", "Math.stack"],
  [
    "Promise species",
    "Object.defineProperty(Promise, Symbol.species, { value: S })",
    "String(Promise[Symbol.species])",
  ],
  ["Array species", "Array[Symbol.species] = S; [].constructor[Symbol.species] = S", "String(Array[Symbol.species])"],
  ["a date", "Date.prototype.setTime.x = S; new Date(0).x = S", "Date.prototype.setTime.x"],
  [
    "a method behind an accessor",
    "Object.prototype.hasOwnProperty.x = S; Promise.prototype.then.x = S",
    "({}).hasOwnProperty.x ?? Promise.prototype.then.x",
  ],
  [
    "the getter of an accessor",
    "Object.getOwnPropertyDescriptor(Date.prototype, 'getTime').get.x = S",
    "Object.getOwnPropertyDescriptor(Date.prototype, 'getTime').get.x",
  ],
  ["Intl", "Intl.DateTimeFormat.x = S; Intl.x = S", "Intl.x ?? Intl.DateTimeFormat.x"],
  ["a bound function", "Function.prototype.bind.call(Math.max, null).x = S; Math.max.x = S", "Math.max.x"],
  ["a microtask after the end", "Promise.resolve().then(() => { globalThis.x = S })", "globalThis.x"],
  [
    "a late microtask that seals",
    "(async () => { await null; await null; Object.defineProperty(globalThis, 'x', { value: S }) })()",
    "globalThis.x",
  ],
  ["an unhandled rejection", "Promise.reject(Object.assign(new Error(S), { x: globalThis.x = S }))", "globalThis.x"],
  ["an error that is thrown", "globalThis.x = S; throw new Error(S)", "globalThis.x"],
  ["a failed statement", "try { sql.query('fail') } catch (e) { globalThis.e = e; e.x = S }", "globalThis.e?.x"],
  ["the input", "input.x = S; input.__proto__.x = S", "input.x"],
  ["the rows", "sql.query('rows')[0].x = S; sql.query('rows').__proto__.x = S", "sql.query('rows')[0]?.x"],
  [
    "a disposable stack",
    "new DisposableStack().defer(() => { globalThis.x = S }); DisposableStack.prototype.x = S",
    "new DisposableStack().x",
  ],
  ["a weak map on a built-in", "globalThis.w = new WeakMap([[Math, S]])", "globalThis.w?.get(Math)"],
  ["a name for the wrapper's parameters", "input = S", "input === undefined ? 0 : input.secret"],
  ["WeakRef and finalizers", "new FinalizationRegistry(() => { globalThis.x = S }).register({}, 1)", "globalThis.x"],
  ["shared memory", "globalThis.x = new SharedArrayBuffer(8)", "globalThis.x"],
];

const asModule = (hide: string, look: string): string =>
  `let kept;\nexport default function (given) { const S = given.secret; if (S !== undefined) { try { kept = S; ${hide} } catch (e) { if (e.message === S) throw e } return 'hidden' } return kept ?? (${look}) ?? null }`;
const asCode = (hide: string, look: string): string =>
  `const S = input.secret; if (S !== undefined) { try { ${hide} } catch (e) { if (e.message === S) throw e } return 'hidden' } return (${look}) ?? null`;

const outside = { ask: () => "[]", log: () => undefined };
const FIRST = JSON.stringify({ secret: SECRET });

describe("a second run in the same realm finds nothing in", () => {
  it.each(places)("%s", (_where, hide, look) => {
    for (const form of [asModule, asCode]) {
      const source = form(hide, look);
      const realm = new Realm(32, outside);
      realm.load(wrap(source));

      const first = realm.run(FIRST, 1000);
      const second = realm.run("{}", 1000); // undefined: the realm was found unclean, and nothing was run

      expect(first?.kind === "done" ? first.result : first?.kind).toMatch(/^("hidden"|failed)$/);
      if (second?.kind === "failed") expect(second.message).not.toContain(SECRET);
      else expect(second?.kind ?? "spoiled").toMatch(/^(done|spoiled)$/);
      expect(JSON.stringify(second ?? "")).not.toContain(SECRET);
      realm.dispose();
    }
  });
});

describe("a second run of the same caller finds nothing in", () => {
  it.each(places)("%s", async (_where, hide, look) => {
    const source = asCode(hide, look);

    await sandbox.text(source, { input: FIRST }).catch(() => undefined);

    expect(await sandbox.text(source).catch(String)).not.toContain(SECRET);
  });
});

it("can reach nothing that is not frozen, but the global object", async () => {
  const source = `
    const seen = new Set([globalThis]), open = [];
    const todo = Reflect.ownKeys(globalThis).map((key) => [String(key), globalThis[key]]);
    todo.push(["generator", function* () {}.prototype.__proto__], ["async generator", async function* () {}.prototype.__proto__]);
    todo.push(["array iterator", [].values().__proto__], ["helper", [].values().map(String).__proto__], ["map iterator", new Map().keys().__proto__]);
    todo.push(["set iterator", new Set().keys().__proto__], ["string iterator", ''[Symbol.iterator]().__proto__], ["match iterator", ''.matchAll(/x/g).__proto__]);
    todo.push(["wrapped iterator", Iterator.from({ next() {} }).__proto__], ["global's prototype", Object.getPrototypeOf(globalThis)]);
    todo.push(["segments", new Intl.Segmenter().segment('a').__proto__], ["segment iterator", new Intl.Segmenter().segment('a')[Symbol.iterator]().__proto__]);
    todo.push(["thrower", Object.getOwnPropertyDescriptor(arguments, "callee").get], ["async function", (async () => {}).__proto__]);
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const [path, value] = next;
      if ((typeof value !== "object" || value === null) && typeof value !== "function" || seen.has(value)) continue;
      seen.add(value);
      if (!Object.isFrozen(value)) open.push(path);
      todo.push([path + ".__proto__", Object.getPrototypeOf(value)]);
      for (const key of Reflect.ownKeys(value)) {
        const { get, set, value: member } = Reflect.getOwnPropertyDescriptor(value, key);
        todo.push([path + "." + String(key), member], [path + ".get " + String(key), get], [path + ".set " + String(key), set]);
        try { todo.push([path + "[" + String(key) + "]", get?.call(value)]) } catch {}
      }
    }
    return { open, count: seen.size }`;

  const { open, count } = (await sandbox.run(source)) as { open: string[]; count: number };

  expect(open).toEqual([]);
  expect(count).toBeGreaterThan(800);
});

describe("the realm of a text", () => {
  it("is used again, and starts anew", () => {
    const realm = new Realm(32, outside);
    realm.load(wrap("let count = 0\nconst log = []\nexport default () => [++count, log.push(1), Math.abs(-1)]"));

    const results = [realm.run("{}", 1000), realm.run("{}", 1000), realm.run("{}", 1000)];

    expect(results).toEqual(Array.from({ length: 3 }, () => ({ kind: "done", result: "[1,1,1]" })));
    realm.dispose();
  });

  it("works again after each way in which it was found unclean", async () => {
    const source =
      "if (input.spoil) { Object.defineProperty(globalThis, 'x', { value: 1 }); return 0 } return typeof x";

    expect(await sandbox.run(source, { input: '{"spoil":true}' })).toBe(0);
    expect(await sandbox.run(source)).toBe("undefined");
  });

  it("is not shared with another caller or another text", async () => {
    const source = "const was = globalThis.x; globalThis.x = 1; return was ?? null";

    for (const caller of ["a", "b", "a"]) expect(await sandbox.run(source, { caller })).toBeNull();
    expect(await sandbox.run(`${source} // another`, { caller: "a" })).toBeNull();
  });

  it("is not kept after a timeout", async () => {
    const source = "if (input.loop) { globalThis.x = 1; for (;;); } return typeof x";

    await sandbox.refusal(source, { input: '{"loop":true}', timeoutMs: 100 });

    expect(await sandbox.run(source)).toBe("undefined");
  });

  it("is not kept when a promise of the run is still open", async () => {
    const source = "if (input.wait) return new Promise(() => { globalThis.x = 1 }); return typeof x";

    await sandbox.refusal(source, { input: '{"wait":true}' });

    expect(await sandbox.run(source)).toBe("undefined");
  });

  it("leaves no statement for a later run", async () => {
    const source =
      "const later = () => Promise.resolve().then(() => sql.execute('late ' + input.n)); later(); return input.n";

    sandbox.asked.splice(0);
    await sandbox.run(source, { input: '{"n":1}' });
    expect(sandbox.asked.map(({ text }) => text)).toEqual(["late 1"]);
  });

  it("stays right for more texts than a child keeps", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `globalThis.x = (globalThis.x ?? ${i}); return x`);

    for (let round = 0; round < 2; round++)
      for (const [i, source] of texts.entries()) expect(await sandbox.run(source)).toBe(i);
  });
});
