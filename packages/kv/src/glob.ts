/** Patterns over keys: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a character that means itself. */

import { badRequest } from "@mikcar/core";

export interface Glob {
  /** What every match begins with: the pattern up to its first special character. */
  readonly prefix: string;
  /** `*` alone or after the prefix: every key with the prefix matches. */
  readonly isPrefixOnly: boolean;
  /** The texts of every match in their order, its beginning and its end (which may be empty) among them; one: all of it. */
  readonly literals: readonly string[];
  matches(key: string): boolean;
}

type Piece =
  | { readonly type: "any" }
  | { readonly type: "one" }
  | { readonly type: "set"; readonly has: (code: number) => boolean }
  | number;

const ANY: Piece = { type: "any" };
const ONE: Piece = { type: "one" };

/**
 * `*` stands for any number of characters, also none and also slashes. A character is a Unicode code point.
 * @throws BAD_REQUEST for an open `[` and for a `\` at the end.
 */
export function glob(pattern: string): Glob {
  const pieces = parse(Array.from(pattern, (character) => character.codePointAt(0) as number)); // no empty characters
  const special = pieces.findIndex((piece) => typeof piece !== "number");
  const literals = (special === -1 ? pieces : pieces.slice(0, special)) as number[]; // up to the first that is not
  const rest = special === -1 ? [] : pieces.slice(special);
  const prefix = codePoints(literals);
  return {
    prefix,
    literals: literalsOf(pieces),
    isPrefixOnly: rest.length === 1 && rest[0] === ANY,
    matches: (key) => key.startsWith(prefix) && matchPieces(rest, Array.from(key.slice(prefix.length), codePoint)),
  };
}

function literalsOf(pieces: readonly Piece[]): readonly string[] {
  const runs: number[][] = [[]];
  for (const piece of pieces) {
    if (typeof piece === "number") runs.at(-1)?.push(piece);
    else if (runs.length === 1 || runs.at(-1)?.length !== 0) runs.push([]);
  }
  return runs.map(codePoints);
}

function codePoint(character: string): number {
  return character.codePointAt(0) as number; // a character of a string is never empty
}

/** `String.fromCodePoint` takes its characters as arguments, of which there may be too many. */
function codePoints(codes: readonly number[]): string {
  return codes.map((code) => String.fromCodePoint(code)).join("");
}

const [STAR, QUESTION, OPEN, CLOSE, BACKSLASH, CARET, BANG, DASH] = Array.from("*?[]\\^!-", codePoint) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number, // eight characters above
];

function parse(codes: readonly number[]): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] as number; // within the length
    if (code === STAR) {
      if (pieces.at(-1) !== ANY) pieces.push(ANY);
    } else if (code === QUESTION) pieces.push(ONE);
    else if (code === OPEN) {
      const { piece, end } = parseSet(codes, at);
      pieces.push(piece);
      at = end;
    } else if (code === BACKSLASH) pieces.push(escaped(codes, ++at));
    else pieces.push(code);
  }
  return pieces;
}

/** `[` is at `start`. A `]` that comes first means itself. */
function parseSet(codes: readonly number[], start: number): { piece: Piece; end: number } {
  let at = start + 1;
  const isNegated = codes[at] === CARET || codes[at] === BANG;
  if (isNegated) at++;
  const ranges: [low: number, high: number][] = [];
  while (codes[at] !== CLOSE || ranges.length === 0) {
    if (at >= codes.length) throw badRequest("the pattern has a [ without its ]; write \\[ for the character itself");
    const low = codes[at] === BACKSLASH ? escaped(codes, ++at) : (codes[at] as number); // within the length
    at++;
    if (codes[at] === DASH && at + 1 < codes.length && codes[at + 1] !== CLOSE) {
      at++;
      const high = codes[at] === BACKSLASH ? escaped(codes, ++at) : (codes[at] as number); // within the length
      at++;
      ranges.push([low, high]);
    } else ranges.push([low, low]);
  }
  const has = (code: number): boolean => ranges.some(([low, high]) => low <= code && code <= high) !== isNegated;
  return { piece: { type: "set", has }, end: at };
}

function escaped(codes: readonly number[], at: number): number {
  const code = codes[at];
  if (code === undefined) throw badRequest("the pattern ends in a \\; write \\\\ for the character itself");
  return code;
}

/**
 * Goes back to the last `*` only, which is enough: an earlier one could take nothing that the last cannot. So the time
 * is at most the product of the two lengths, where a regular expression can take exponentially long.
 */
function matchPieces(pieces: readonly Piece[], codes: readonly number[]): boolean {
  let piece = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < codes.length) {
    const wanted = pieces[piece];
    if (wanted === ANY) {
      star = piece++;
      starAt = at;
    } else if (wanted !== undefined && matchesOne(wanted, codes[at] as number)) {
      piece++; // the code is within the length
      at++;
    } else if (star !== -1) {
      piece = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (pieces[piece] === ANY) piece++;
  return piece === pieces.length;
}

function matchesOne(piece: Piece, code: number): boolean {
  if (typeof piece === "number") return piece === code;
  return piece.type === "one" || (piece.type === "set" && piece.has(code));
}
