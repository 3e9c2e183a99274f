/** JSON text of values that may hold bigints: as digits, however many. */

import { exactInteger } from "@mikcar/core";

export function stringifyExact(value: unknown): string {
  const text = JSON.stringify(value, (_name, item: unknown) => (typeof item === "bigint" ? exactInteger(item) : item));
  return text ?? "null"; // undefined has no text
}
