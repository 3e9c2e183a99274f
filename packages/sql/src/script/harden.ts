/** Travels into an isolate as text (`toString`), so it refers to nothing outside itself. */

/**
 * Removes what could outlive a run, and freezes all the rest that can be reached, so that a run finds what the one
 * before it found. The prototypes whose members are often shadowed by assignment get accessors first: a frozen data
 * property would make `object.toString = …` throw (the "override mistake").
 */
export function harden(): void {
  const global = globalThis as unknown as Record<PropertyKey, unknown>; // names that the types do not know
  const removed = ["Atomics", "FinalizationRegistry", "SharedArrayBuffer", "WeakRef", "WebAssembly"];
  for (const name of removed) delete global[name];
  const kept = new Set<PropertyKey>(["length", "name", "prototype", "escape", Symbol.species]);
  for (const key of Reflect.ownKeys(RegExp)) if (!kept.has(key)) Reflect.deleteProperty(RegExp, key);

  const json = JSON as unknown as { rawJSON(text: string): unknown }; // V8 has it, the types do not
  const { toString } = BigInt.prototype;
  const { toJSON } = {
    toJSON(this: bigint) {
      return json.rawJSON(toString.call(this));
    },
  };
  const bigints: object = BigInt.prototype;
  Object.defineProperty(bigints, "toJSON", { value: toJSON, writable: true, configurable: true });

  const errors = [Error, AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  if (typeof global.SuppressedError === "function") errors.push(global.SuppressedError as typeof AggregateError);
  const shadowed: object[] = [Object.prototype, Function.prototype, Promise.prototype, Date.prototype];
  const behind: unknown[] = []; // the accessors: what a walk over properties no longer meets
  for (const prototype of [...shadowed, ...errors.map((error) => error.prototype as object)]) makeAccessors(prototype);
  freezeAll();

  function makeAccessors(prototype: object): void {
    for (const key of Reflect.ownKeys(prototype)) {
      const property = Reflect.getOwnPropertyDescriptor(prototype, key);
      if (property?.configurable !== true || !("value" in property)) continue;
      const value: unknown = property.value;
      behind.push(value);
      const setter = function (this: object, next: unknown): void {
        if (this === prototype) throw new TypeError(`Cannot assign to read only property '${String(key)}' of object`);
        Object.defineProperty(this, key, { value: next, writable: true, enumerable: true, configurable: true });
      };
      const { enumerable = false } = property;
      Object.defineProperty(prototype, key, { get: () => value, set: setter, enumerable, configurable: true });
    }
  }

  function freezeAll(): void {
    const found = new Set<unknown>([globalThis]);
    const todo: unknown[] = [...hidden()];
    const visit = (value: unknown): void => {
      if (((typeof value !== "object" || value === null) && typeof value !== "function") || found.has(value)) return;
      found.add(value);
      todo.push(value);
    };
    const visitMembers = (object: object): void => {
      visit(Reflect.getPrototypeOf(object));
      for (const key of Reflect.ownKeys(object)) {
        const property = Reflect.getOwnPropertyDescriptor(object, key);
        visit(property?.value);
        visit(property?.get);
        visit(property?.set);
      }
    };
    visitMembers(globalThis);
    for (const value of behind) visit(value);
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) visitMembers(next as object); // `visit` let it in
    found.delete(globalThis);
    for (const object of found) Object.freeze(object);
    for (const key of Reflect.ownKeys(globalThis)) {
      Object.defineProperty(globalThis, key, { writable: false, configurable: false });
    }
  }

  /** Of each kind whose prototype no global leads to. */
  function hidden(): object[] {
    function* generator(): Generator<number> {}
    async function* asyncGenerator(): AsyncGenerator<number> {}
    const samples: object[] = [generator, asyncGenerator, async () => undefined, generator(), asyncGenerator()];
    samples.push(
      [][Symbol.iterator](),
      new Map().entries(),
      new Set().values(),
      ""[Symbol.iterator](),
      "".matchAll(/x/g),
    );
    const { from } = global.Iterator as { from(iterator: object): object & { map(call: unknown): object } }; // as above
    const wrapped = from.call(global.Iterator, { next: () => ({ done: true, value: undefined }) });
    samples.push(wrapped, wrapped.map(String), Object.getOwnPropertyDescriptors(strictArguments()));
    const segments = new Intl.Segmenter().segment("a");
    samples.push(segments, segments[Symbol.iterator]());
    return samples;
  }

  function strictArguments(): IArguments {
    return arguments; // its accessors are what is wanted
  }
}
