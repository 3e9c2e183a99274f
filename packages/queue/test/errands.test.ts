import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import { Errands } from "../src/errands.ts";

it("tries again until it is done", async () => {
  const errands = new Errands();
  let tries = 0;

  errands.run(async () => {
    if (++tries < 3) throw new Error("away");
  }, 60_000);

  await until("it is done", () => tries === 3);
  await errands.close();
  expect(tries).toBe(3);
});

it("gives up when it is of no use any more", async () => {
  const errands = new Errands();
  let tries = 0;

  errands.run(() => Promise.reject(new Error(`away ${++tries}`)), 0);

  await until("it was tried", () => tries === 1);
  await errands.close();
  expect(tries).toBe(1);
});

it("tries once more when it is closed, and keeps nobody waiting", async () => {
  const errands = new Errands();
  let tries = 0;
  errands.run(() => Promise.reject(new Error(`away ${++tries}`)), 60_000);
  await until("it was tried", () => tries === 1);

  await errands.close();

  expect(tries).toBe(2);
});
