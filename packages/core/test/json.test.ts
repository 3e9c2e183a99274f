import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { compareUtf8, exactInteger, parseJson } from "../src/index.ts";

describe("JSON", () => {
  it("keeps an integer that a double cannot hold, in and out", () => {
    expect(parseJson('{"n":9007199254740993,"m":[-9223372036854775808]}')).toEqual({
      n: 9007199254740993n,
      m: [-9223372036854775808n],
    });
    expect(JSON.stringify({ n: exactInteger(9007199254740993n), m: exactInteger(5n) })).toBe(
      '{"n":9007199254740993,"m":5}',
    );
  });

  it("leaves floats, long digits in strings and exponents as JSON.parse has them", () => {
    const text = '{"a":1.2345678901234567,"b":"12345678901234567890","c":1e300,"d":9007199254740991}';

    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it("agrees with JSON.parse on every document without large integers", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        fc.pre(!/\d{16}/.test(text));

        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it("brings back every 64-bit integer", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(BigInt(parseJson(JSON.stringify(exactInteger(value))) as bigint)).toBe(value);
      }),
    );
  });

  it("is refused with a sentence when it is broken", () => {
    expect(() => parseJson('{"a')).toThrow(/^the body is not valid JSON: /);
  });

  it.each(['{"value": hush}', "hush", '["hush", hush]', '{"hush": "hush'])(
    "quotes nothing of %s, which is not JSON",
    (text) => {
      expect(() => parseJson(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("hush") }));
    },
  );
});

describe("byte order", () => {
  it("is that of the UTF-8 of the strings", () => {
    const unit = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\ue000", "\uffff", "😀", "é", "a"));
    fc.assert(
      fc.property(fc.array(unit), fc.array(unit), (left, right) => {
        const [a, b] = [left.join(""), right.join("")];
        fc.pre(a.isWellFormed() && b.isWellFormed());

        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
