/** The `Range` header: RFC 9110, 14.1.2 and 14.2. */

import type { RangeSpec, Slice } from "./backend.ts";

const SHAPE = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

/**
 * Reads one range of bytes.
 * @returns undefined for what the RFC allows to ignore: another unit, several ranges, broken syntax.
 */
export function parseRange(header: string): RangeSpec | undefined {
  const shape = SHAPE.exec(header);
  if (shape === null) return undefined;
  const [, first, last, suffix] = shape;
  if (first === undefined) return { suffix: Number(suffix) };
  if (last === undefined || last === "") return { first: Number(first) };
  return Number(last) < Number(first) ? undefined : { first: Number(first), last: Number(last) };
}

/** @returns undefined when no byte of an object of `size` bytes lies in the range. */
export function resolveRange(spec: RangeSpec, size: number): Slice | undefined {
  const start = "suffix" in spec ? Math.max(0, size - spec.suffix) : spec.first;
  const end = "suffix" in spec ? size : Math.min(size, (spec.last ?? size) + 1);
  return start < end ? { start, end } : undefined;
}
