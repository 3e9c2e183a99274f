/** The pattern language, by example and against a plain reference. */

import { describe, expect, it } from "@jest/globals";
import { compareUtf8 } from "@mikcar/core";
import fc from "fast-check";
import { glob } from "../src/glob.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 1;

describe("a pattern", () => {
  it.each([
    ["a*", "a", true],
    ["a*", "a/b\n😀", true],
    ["?", "😀", true],
    ["??", "😀", false],
    ["[😀-😂]", "😁", true],
    ["[a-c]", "d", false],
    ["[c-a]", "b", false],
    ["[^a-c]", "d", true],
    ["[!a-c]", "d", true],
    ["[^a]", "", false],
    ["[a^]", "^", true],
    ["[]]", "]", true],
    ["[^]]", "]", false],
    ["[a-]", "-", true],
    ["[-a]", "-", true],
    ["[\\]-a]", "^", true],
    ["[*?]", "x", false],
    ["[*?]", "*", true],
    ["]", "]", true],
    ["\\*", "*", true],
    ["\\*", "x", false],
    ["\\a", "a", true],
    ["*a*b*c*", "xxaxxbxxcxx", true],
    ["*a*b*c*", "xxcxxbxxaxx", false],
    ["A", "a", false],
    ["", "", true],
    ["", "a", false],
  ])("%j on %j answers %s", (pattern, key, matches) => {
    expect(glob(pattern).matches(key)).toBe(matches);
  });

  it.each(["[", "[]", "[^", "[^]", "[a", "[a-", "[\\]", "a[", "\\", "a\\", "[a\\"])("%j is refused", (pattern) => {
    expect(() => glob(pattern)).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
  });

  it.each([
    ["user:42:*", "user:42:", true],
    ["user:42:**", "user:42:", true],
    ["user:42", "user:42", false],
    ["a\\*b*c", "a*b", false],
    ["?a", "", false],
    ["*", "", true],
    ["é😀[x]", "é😀", false],
  ])("%j begins with %j", (pattern, prefix, isPrefixOnly) => {
    expect(glob(pattern)).toMatchObject({ prefix, isPrefixOnly });
  });

  it("that makes a backtracking matcher take for ever is answered", () => {
    expect(glob(`${"a*".repeat(400)}b`).matches("a".repeat(1000))).toBe(false);
    expect(glob("*?".repeat(500)).matches("a".repeat(499))).toBe(false);
  });
});

const TOKEN =
  /\\[^]|\[(?:[\^!](?:\\[^]|[^\\])|(?![\^!])(?:\\[^]|[^\\]))(?:\\[^]|[^\]\\])*\]|[^\\[]/gu; /* a set begins with any one */

/** The pattern in its pieces, or undefined when it is none. */
function tokens(pattern: string): string[] | undefined {
  const found = pattern.match(TOKEN) ?? [];
  return found.join("") === pattern ? found : undefined;
}

/** Tries every way there is. */
function matches([token, ...rest]: string[], characters: string[]): boolean {
  const [character, ...others] = characters;
  if (token === undefined) return character === undefined;
  if (token === "*") return matches(rest, characters) || (character !== undefined && matches([token, ...rest], others));
  return character !== undefined && isOne(token, character) && matches(rest, others);
}

function isOne(token: string, character: string): boolean {
  if (token === "?") return true;
  if (token.startsWith("\\")) return token.slice(1) === character;
  if (!/^\[.+\]$/su.test(token)) return token === character;
  const isNegated = /^\[[\^!]/.test(token);
  const inside = token.slice(isNegated ? 2 : 1, -1);
  const code = character.codePointAt(0) ?? 0;
  const members = [...inside.matchAll(/(\\[^]|[^])(?:-(\\[^]|[^]))?/gu)];
  const isMember = members.some(([, low = "", high = low]) => {
    const [from = 0, to = 0] = [low, high].map((end) => (end.length > 1 ? end.replace(/^\\/, "") : end).codePointAt(0));
    return from <= code && code <= to;
  });
  return isMember !== isNegated;
}

const character = fc.constantFrom(..."abc*?[]\\^!-/é\uffff", "😀", "😁", "\ud800", "\n");
const literal = fc.constantFrom(..."abc/é", "😀", "\\*", "\\[", "\\\\", "\\a");
const set = fc
  .tuple(fc.constantFrom("", "^", "!"), fc.array(fc.constantFrom("a", "b-c", "-", "\\]", "é-😀", "^", "c-a", "[")))
  .map(([not, members]) => `[${not}${members.length === 0 ? "b" : members.join("")}]`);
const likelyPattern = fc
  .array(fc.oneof(literal, literal, set, fc.constantFrom("*", "?")), { maxLength: 7 })
  .map((parts) => parts.join(""));
const anyPattern = fc.array(character, { maxLength: 8 }).map((parts) => parts.join(""));
const subject = fc
  .array(fc.oneof(fc.constantFrom(..."abc/é*[\\", "😀"), character), { maxLength: 8 })
  .map((parts) => parts.join(""));

describe("any pattern", () => {
  it("matches as a plain backtracking matcher does, and is refused when it has no pieces", () => {
    const property = fc.property(fc.oneof(likelyPattern, anyPattern), subject, (pattern, key) => {
      const pieces = tokens(pattern);
      if (pieces === undefined) expect(() => glob(pattern)).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
      else expect(glob(pattern).matches(key)).toBe(matches(pieces, [...key]));
    });
    fc.assert(property, { numRuns: 5000 * RUNS });
  });

  it("matches only what begins with its prefix, and all of that when it says so", () => {
    const valid = likelyPattern.filter((pattern) => tokens(pattern) !== undefined);
    const property = fc.property(valid, subject, (pattern, rest) => {
      const { prefix, isPrefixOnly, matches: isMatch } = glob(pattern);
      if (isMatch(rest)) expect(rest.startsWith(prefix)).toBe(true);
      if (isPrefixOnly) expect(isMatch(prefix + rest)).toBe(true);
    });
    fc.assert(property, { numRuns: 1000 * RUNS });
  });

  it("matches the key that it spells when everything in it is escaped", () => {
    const property = fc.property(subject, subject, (key, other) => {
      const pattern = [...key].map((one) => `\\${one}`).join("");
      expect(glob(pattern)).toMatchObject({ prefix: key, isPrefixOnly: false });
      expect(glob(pattern).matches(key)).toBe(true);
      expect(glob(pattern).matches(other)).toBe(key === other);
    });
    fc.assert(property, { numRuns: 500 * RUNS });
  });
});

it("orders any two strings as their bytes in UTF-8", () => {
  const unit = fc.oneof(
    fc.constantFrom(..."aZ\0é\ue000\uffff\ud7ff", "😀", "\u{10ffff}", "\u{10000}"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  );
  const word = fc.array(unit, { maxLength: 6 }).map((parts) => parts.join(""));
  const property = fc.property(word, word, word, (beginning, a, b) => {
    const [left, right] = [beginning + a, beginning + b];
    expect(Math.sign(compareUtf8(left, right))).toBe(Buffer.compare(Buffer.from(left), Buffer.from(right)));
  });
  fc.assert(property, { numRuns: 3000 * RUNS });
});
