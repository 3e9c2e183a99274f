import { expect, jest } from "@jest/globals";

/** 2026-01-01: the time at which every test on this clock begins. */
export const START = Date.UTC(2026, 0, 1);

/** Stops `Date` and nothing else, so that timers go on. To be undone by `jest.useRealTimers()`. */
export function stopClock(): void {
  jest.useFakeTimers({
    now: START,
    doNotFake: [
      "hrtime",
      "nextTick",
      "performance",
      "queueMicrotask",
      "requestAnimationFrame",
      "cancelAnimationFrame",
      "requestIdleCallback",
      "cancelIdleCallback",
      "setImmediate",
      "clearImmediate",
      "setInterval",
      "clearInterval",
      "setTimeout",
      "clearTimeout",
    ],
  });
}

/** A store with a clock of its own: `move` makes all that expires there do so `milliseconds` earlier. */
export interface OwnClock {
  /** How far its time may run ahead during a test, as it does not stand still. */
  readonly toleranceMs: number;
  move(milliseconds: number): Promise<void>;
}

let own: OwnClock | undefined;

/** From now on `setClock` moves this one too. */
export function withClock(clock: OwnClock | undefined): void {
  own = clock;
}

/** @param milliseconds Since the start. */
export async function setClock(milliseconds: number): Promise<void> {
  const by = START + milliseconds - Date.now();
  jest.setSystemTime(START + milliseconds);
  if (by > 0) await own?.move(by);
}

/** Just before something that happens at `milliseconds` since the start: the last of them, where time stands still. */
export function justBefore(milliseconds: number): number {
  return milliseconds - 1 - (own?.toleranceMs ?? 0);
}

/** @param milliseconds Since the start. */
export function expectTime(time: number | undefined, milliseconds: number): void {
  const latest = START + milliseconds;
  expect(time).toBeLessThanOrEqual(latest);
  expect(time).toBeGreaterThanOrEqual(latest - (own?.toleranceMs ?? 0));
}
