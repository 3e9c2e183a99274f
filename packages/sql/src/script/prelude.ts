/** What a script finds in its isolate. It travels there as text (`toString`), so it refers to nothing outside itself. */

/** The way out: a frame for a statement and its answer (`frames.ts`), a console line, and an outcome that comes late. */
export interface Host {
  readonly ask: (frame: string) => string;
  readonly log: (line: string) => void;
  readonly settle: (outcome: string) => void;
}

/** The function that `wrap` makes. `call` runs a default export with the input, and hands on what is no function. */
export type Factory = (input: unknown, call: (main: unknown) => unknown) => unknown;

/** What the outside holds of a realm. */
export interface Entry {
  load(factory: Factory): void;
  /**
   * One run. Gives `=` and the result as JSON, `!` and a `Thrown` as JSON, `~` when the realm is no longer clean and
   * nothing was run, or undefined: `settle` is called before the microtasks have drained, or never.
   */
  start(input: string): string | undefined;
}

/** What the isolate tells of a thrown value, as JSON. */
export interface Thrown {
  readonly message: string;
  readonly name?: string;
  readonly stack?: string;
  readonly statement?: number;
  /** The script ended, but its value cannot be written. */
  readonly isResult?: boolean;
}

/** Sets `sql` and `console` up and hardens the realm. @param hardening `harden`, which no import can bring here. */
export function prelude(hardening: () => void, { ask, log, settle }: Host): Entry {
  const MAX_CHARS = 16 * 1024 * 1024; // MAX_TEXT of frames.ts
  const MAX_LINES = 100;
  const MAX_LINE_CHARS = 2048;
  const LONG_NUMBER = /\d{16}/;
  const INTEGER = /^-?\d+$/;

  let factory: Factory;
  let refused = new WeakMap<object, number>();
  let lines = 0;

  type Exact = (key: string, value: unknown, context: { source?: string }) => unknown;
  const json = JSON as unknown as { parse(text: string, reviver?: Exact): unknown }; // the types lack the third argument
  const exact: Exact = (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
      ? BigInt(source)
      : value;
  const parse = (text: string): unknown => (LONG_NUMBER.test(text) ? json.parse(text, exact) : JSON.parse(text));

  const nameOf = (value: unknown): string =>
    value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;

  function paramsText(name: string, params: unknown): string {
    if (params === undefined) return "[]";
    if (!Array.isArray(params))
      throw new TypeError(
        `sql.${name}: the second argument is the array of parameters, [first, …]; it is ${nameOf(params)}`,
      );
    for (let index = 0; index < params.length; index++) {
      const value: unknown = params[index];
      const isLost =
        typeof value === "number" ? !Number.isFinite(value) : typeof value === "function" || typeof value === "symbol";
      if (isLost)
        throw new TypeError(`sql.${name}: parameter $${index + 1} is ${String(value)}, which JSON cannot carry`);
    }
    const text = JSON.stringify(params) as string | undefined; // a toJSON of the caller may give anything
    if (text?.[0] !== "[") throw new TypeError(`sql.${name}: the parameters do not become a JSON array`);
    return text;
  }

  function call(name: "query" | "execute", text: unknown, params: unknown): unknown {
    if (typeof text !== "string")
      throw new TypeError(`sql.${name}: the first argument is the statement's text; it is ${nameOf(text)}`);
    const encoded = paramsText(name, params);
    if (text.length + encoded.length > MAX_CHARS)
      throw new RangeError(`sql.${name}: a statement with its parameters may have 16 MiB`);
    const answer = ask(`${name === "query" ? "q" : "x"}${text.length}:${text}${encoded}`);
    if (answer[0] !== "!") return parse(answer);
    const colon = answer.indexOf(":");
    const error = new Error(answer.slice(colon + 1));
    refused.set(error, Number(answer.slice(1, colon)));
    throw error;
  }

  function show(value: unknown): string {
    try {
      if (typeof value === "string") return value;
      if (value instanceof Error) return `${value.name}: ${value.message}`;
      if (typeof value === "object" && value !== null) return JSON.stringify(value) ?? "undefined";
      return String(value);
    } catch {
      return "[a value that cannot be shown]"; // a console never fails its script
    }
  }

  function write(level: string, values: unknown[]): void {
    lines += 1;
    if (lines > MAX_LINES + 1) return;
    let text = "";
    for (let index = 0; index < values.length && text.length < MAX_LINE_CHARS; index++)
      text += (index > 0 ? " " : "") + show(values[index]).slice(0, MAX_LINE_CHARS);
    const more = `[this script has written ${MAX_LINES} lines; the rest is not kept]`;
    log(level + (lines > MAX_LINES ? more : text.slice(0, MAX_LINE_CHARS)));
  }

  const sql = {
    query: (text: unknown, params?: unknown): unknown => call("query", text, params),
    execute: (text: unknown, params?: unknown): unknown => call("execute", text, params),
  };
  const console = {
    log: (...values: unknown[]): void => write("i", values),
    info: (...values: unknown[]): void => write("i", values),
    debug: (...values: unknown[]): void => write("i", values),
    warn: (...values: unknown[]): void => write("w", values),
    error: (...values: unknown[]): void => write("e", values),
  };
  Object.defineProperty(globalThis, "sql", { value: sql, configurable: true });
  Object.defineProperty(globalThis, "console", { value: console, configurable: true });
  hardening();

  const globals = new Set(Reflect.ownKeys(globalThis));
  const globalPrototype = Reflect.getPrototypeOf(globalThis);

  /** The globals themselves cannot be changed, so what is left to look for is more of them. */
  function isSwept(): boolean {
    const keys = Reflect.ownKeys(globalThis);
    if (keys.length !== globals.size) {
      for (const key of keys) if (!globals.has(key) && !Reflect.deleteProperty(globalThis, key)) return false;
    }
    return Reflect.getPrototypeOf(globalThis) === globalPrototype && Reflect.isExtensible(globalThis);
  }

  function member(object: object, key: string): string | undefined {
    try {
      const value: unknown = Reflect.get(object, key);
      return typeof value === "string" ? value.slice(0, 8192) : undefined;
    } catch {
      return undefined; // a getter that throws, in what was thrown
    }
  }

  function describe(thrown: unknown, isResult: boolean): string {
    const told: {
      message: string;
      name?: string | undefined;
      stack?: string | undefined;
      statement?: number | undefined;
      isResult: boolean;
    } = {
      message: "",
      isResult,
    };
    if ((typeof thrown === "object" && thrown !== null) || typeof thrown === "function") {
      told.name = member(thrown, "name");
      told.stack = member(thrown, "stack");
      told.statement = refused.get(thrown);
      told.message = member(thrown, "message") ?? show(thrown).slice(0, 8192);
    } else {
      told.message = String(thrown).slice(0, 8192);
    }
    return `!${JSON.stringify(told)}`;
  }

  function finish(value: unknown): string {
    let text: string | undefined;
    try {
      text = JSON.stringify(value) as string | undefined; // undefined for undefined, functions and symbols
    } catch (error) {
      return describe(error, true);
    }
    if (text === undefined) return "=null";
    if (text.length > MAX_CHARS) return describe(new RangeError("it is larger than 16 MiB"), true);
    return `=${text}`;
  }

  async function finishLater(value: unknown): Promise<void> {
    let outcome: string;
    try {
      outcome = finish(await value);
    } catch (error) {
      outcome = describe(error, false);
    }
    settle(outcome);
  }

  return {
    load(loaded) {
      factory = loaded;
    },
    start(text) {
      if (!isSwept()) return "~";
      refused = new WeakMap();
      lines = 0;
      try {
        const input = parse(text);
        const value = factory(input, (main) =>
          typeof main === "function" ? (main as (input: unknown) => unknown)(input) : main,
        );
        const isThenable =
          typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
        if (!isThenable) return finish(value);
        void finishLater(value);
        return undefined;
      } catch (error) {
        return describe(error, false);
      }
    },
  };
}
