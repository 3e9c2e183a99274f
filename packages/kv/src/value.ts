/** What values mean: their tags, and the numbers in them. */

import { hash } from "node:crypto";
import { conflict, type MikcarError } from "@mikcar/core";

const INTEGER = /^-?\d{1,19}$/;
const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** The tag of a value, without quotes: SHA-1 in hexadecimal, which Redis can compute beside the data as well. */
export function eTag(value: Buffer): string {
  return hash("sha1", value, "hex");
}

export function isInt64(value: bigint): boolean {
  return value >= MIN && value <= MAX;
}

/** @param value Undefined counts as 0. @throws CONFLICT when it is no 64-bit integer, or the sum is none. */
export function add(key: string, value: Buffer | undefined, by: bigint): bigint {
  if (value === undefined) return by;
  const text = value.length <= 20 ? value.toString("latin1") : "";
  if (!INTEGER.test(text) || !isInt64(BigInt(text))) throw noInteger(key);
  const sum = BigInt(text) + by;
  if (isInt64(sum)) return sum;
  throw outOfRange(key, text, by);
}

export function noInteger(key: string): MikcarError {
  return conflict(`the value of "${key}" is no 64-bit integer`);
}

export function outOfRange(key: string, value: string, by: bigint): MikcarError {
  return conflict(`"${key}" is ${value}; adding ${by} would leave the range of a 64-bit integer`);
}
