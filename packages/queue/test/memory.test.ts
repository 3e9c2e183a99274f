import { expect, it, jest } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { open } from "../src/backends/memory.ts";
import { queueContract } from "./contract.ts";

queueContract("memory", { open: () => open(configUrl("memory://?max_deliveries=3")) });

it("remembers an idempotency key that is used again after its day for a whole day more", async () => {
  jest.useFakeTimers({ doNotFake: ["setImmediate", "setTimeout", "setInterval", "nextTick", "performance"] });
  const queue = await open(configUrl("memory:"));
  const push = (key: string): Promise<readonly string[]> => queue.push("q", ["1"], { delayMs: 0, idempotencyKey: key });
  try {
    for (let count = 0; count < 30; count++) await push(`early ${count}`);
    jest.setSystemTime(Date.now() + 1000);
    const first = await push("again");
    jest.setSystemTime(Date.now() + 24 * 60 * 60 * 1000 + 1);

    const second = await push("again");
    for (let count = 0; count < 30; count++) await push(`late ${count}`); // whereupon the early ones are forgotten
    const third = await push("again");

    expect([second[0] === first[0], third]).toEqual([false, second]);
  } finally {
    jest.useRealTimers();
    await queue.close();
  }
});
