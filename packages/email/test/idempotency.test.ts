import { afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { Idempotency } from "../src/idempotency.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

let sent: Idempotency<number>;
let count = 0;
const send = (key: string): Promise<number> => sent.once(key, async () => ++count);
beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
  sent = new Idempotency();
  count = 0;
});
afterEach(() => {
  jest.useRealTimers();
});

it("remembers for a day, and from its next use for another one", async () => {
  await send("a");
  jest.setSystemTime(DAY_MS - 1);
  expect(await send("a")).toBe(1);

  jest.setSystemTime(DAY_MS);
  expect(await send("a")).toBe(2);
  jest.setSystemTime(2 * DAY_MS - 1);
  expect(await send("a")).toBe(2);
});

it("forgets the oldest of more than a hundred thousand", async () => {
  for (let number = 0; number <= 100_000; number++) await send(String(number));

  expect(await send("1")).toBe(2);
  expect(await send("0")).toBe(100_002);
});

it("tells those who wait of a failure, and forgets it", async () => {
  const fails = (): Promise<number> => Promise.reject(new Error("no"));
  const first = sent.once("a", fails);
  const second = send("a");

  await expect(first).rejects.toThrow("no");
  await expect(second).rejects.toThrow("no");
  expect(await send("a")).toBe(1);
});
