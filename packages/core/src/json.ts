/** JSON with exact 64-bit integers, in and out. */

import { badRequest } from "./errors.ts";

/** JSON.rawJSON and the reviver's source text: https://github.com/tc39/proposal-json-parse-with-source (V8 11.4). */
interface JsonWithSource {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}
const json = JSON as unknown as JsonWithSource; // TypeScript's library does not declare these two yet

const LONG_NUMBER = /\d{16}/;
const INTEGER = /^-?\d+$/;

/**
 * Parses JSON text. An integer that a double cannot hold comes back as a bigint; all else as `JSON.parse` has it.
 * @throws BAD_REQUEST when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? json.parse(text, exact) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body is not valid JSON: ${reason(error as Error)}`); // JSON.parse throws SyntaxError only
  }
}

/** Where V8 tells no position, it quotes the text around it: that may be a secret, and is left out. */
function reason({ message }: Error): string {
  return (
    /^[^"]* in JSON at position \d+/.exec(message)?.[0] ??
    (message.endsWith("end of JSON input") ? "it ends early" : "it has a character that does not belong there")
  );
}

function exact(_key: string, value: unknown, { source }: { source?: string }): unknown {
  const isInexact = typeof value === "number" && !Number.isSafeInteger(value);
  return isInexact && source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
}

/** A value that `JSON.stringify` writes as the digits of `value`, however many there are. */
export function exactInteger(value: bigint): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : json.rawJSON(value.toString());
}
