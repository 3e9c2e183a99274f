import { runInNewContext } from "node:vm";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decodeRun, encodeRun } from "../../src/script/frames.ts";
import { wrap } from "../../src/script/source.ts";

/** What could end the wrapper's function early, hide its end, or open another. */
const PIECES = [
  "}",
  "{",
  ")",
  "(",
  "()",
  "})()",
  "(function(){",
  "function f(){",
  ";",
  "\n",
  "\r",
  "\u2028",
  "//",
  "/*",
  "*/",
  "<!--",
  "\n-->",
  "`",
  "${",
  "'",
  "/",
  "[",
  "]",
  "=>",
  "0",
  "x",
  " return ",
  "export default ",
  "await ",
  "class A{",
  "static{",
  ",",
  "escaped.push(1)",
];

describe("the wrapper", () => {
  it("is one function, and evaluating it runs nothing of the script", () => {
    let accepted = 0;
    const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 14 });

    fc.assert(
      fc.property(pieces, (list) => {
        let code: string;
        try {
          code = wrap(list.join(""));
        } catch {
          return; // refused
        }
        accepted += 1;
        const escaped: number[] = [];
        let value: unknown;
        try {
          value = runInNewContext(`[${code}\n]`, { escaped });
        } catch (error) {
          expect(String(error)).toMatch(/SyntaxError/); // V8 knows better, and the script is refused after all
          return;
        }
        expect(escaped).toEqual([]);
        expect(value).toHaveLength(1);
        expect(typeof (value as unknown[])[0]).toBe("function");
      }),
      { numRuns: process.env.MIKCAR_TEST_LONG === "1" ? 300_000 : 5000 },
    );

    expect(accepted).toBeGreaterThan(100);
  });

  it("keeps every line and column of a script", () => {
    const source = "\n\nexport\n default\n  function () {\n return 1 }\n";

    expect(
      wrap(source)
        .split("\n")
        .slice(1, -3)
        .map((line) => line.trimEnd()),
    ).toEqual(["", "", "var $default =", "", "  function () {", " return 1 };"]);
  });
});

it("hands a run over as it is", () => {
  const run = fc.record({
    id: fc.nat(),
    timeoutMs: fc.nat(),
    memoryMb: fc.nat(),
    drop: fc.nat(),
    input: fc.json(),
    source: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  });

  fc.assert(fc.property(run, (given) => expect(decodeRun(encodeRun(given))).toEqual(given)));
});
