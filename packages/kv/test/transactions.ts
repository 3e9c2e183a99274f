/** Random transactions over few keys, so that they meet. */

import fc from "fast-check";
import { eTag } from "../src/value.ts";

export const KEYS = ["a", "ab", "a/b", "b", "__proto__", "\uffff", "😀"];

const key = fc.constantFrom(...KEYS);
const value = fc
  .constantFrom("", "0", "7", "-3", "abc", "1.5", "9223372036854775807", "-9223372036854775808", "\xff")
  .map((text) => Buffer.from(text, "latin1"));
const ttlSeconds = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined });
const by = fc.constantFrom(1n, -1n, 5n, 2n ** 63n - 1n, -(2n ** 63n));
const operation = fc.oneof(
  fc.record({ type: fc.constant("set" as const), key, value, ttlSeconds }),
  fc.record({ type: fc.constant("delete" as const), key }),
  fc.record({ type: fc.constant("increment" as const), key, by, ttlSeconds }),
  fc.record({
    type: fc.constant("expire" as const),
    key,
    ttlSeconds: fc.option(fc.integer({ min: -1, max: 4 }), { nil: undefined }),
  }),
);
const tags = fc.oneof(fc.constant("*" as const), fc.array(value.map(eTag), { maxLength: 3 }));
const condition = fc.oneof(
  fc.record({ key, ifMatch: tags }),
  fc.record({ key, ifNoneMatch: tags }),
  fc.record({ key, ifMatch: tags, ifNoneMatch: tags }),
);
export const transaction = fc.record({
  conditions: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(condition, { maxLength: 2 }) },
  ),
  operations: fc.array(operation, { minLength: 1, maxLength: 5 }),
});
