import { expect, it } from "@jest/globals";
import { hash } from "node:crypto";
import fc from "fast-check";
import { deadOf, delayName, queueOf, roundedDelay } from "../src/backends/amqp/names.ts";

const LONGEST_DELAY_MS = 30 * 24 * 60 * 60 * 1000;

it("rounds a delay up by a hundredth or 10 ms at most, to one of few", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: LONGEST_DELAY_MS }), (delayMs) => {
      const rounded = roundedDelay(delayMs);
      expect(rounded).toBeGreaterThanOrEqual(delayMs);
      expect(rounded).toBeLessThanOrEqual(Math.max(delayMs + 10, delayMs * 1.01 + 1));
      expect(roundedDelay(rounded)).toBe(rounded);
    }),
  );
  const all = new Set<number>();
  for (let delayMs = 1; delayMs <= LONGEST_DELAY_MS; delayMs = roundedDelay(delayMs) + 1)
    all.add(roundedDelay(delayMs));
  expect(all.size).toBeLessThan(1600);
});

it("calls different sources differently, with names that AMQP allows", () => {
  const name = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 100 }),
    fc.constantFrom("a", "a.b", "amq.a", "mikcar.name.a", "mikcar.name.amq.a", "mikcar.group.1.a.b", "x".repeat(200)),
  );
  const source = fc.record({ name, group: fc.option(name, { nil: undefined }) });
  fc.assert(
    fc.property(source, source, (one, other) => {
      const isSame = one.name === other.name && one.group === other.group;
      expect(queueOf(one) === queueOf(other)).toBe(isSame);
      expect(deadOf(queueOf(one))).not.toBe(queueOf(other));
      expect(Buffer.byteLength(deadOf(queueOf(one)))).toBeLessThanOrEqual(255);
      expect(queueOf(one)).not.toMatch(/^amq\./);
      expect(queueOf(one)).not.toBe(delayName("queue", 10));
    }),
  );
  expect(queueOf({ name: "a.b", group: "c" })).not.toBe(queueOf({ name: "a", group: "b.c" }));
  expect(queueOf({ name: hash("md5", "x"), group: undefined })).toBe(hash("md5", "x"));
});
