import { jest } from "@jest/globals";

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

/** @param milliseconds Since the start. */
export function setClock(milliseconds: number): void {
  jest.setSystemTime(START + milliseconds);
}
