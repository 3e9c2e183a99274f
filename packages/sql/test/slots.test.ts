import { expect, it } from "@jest/globals";
import { Slots } from "../src/slots.ts";

const never = new AbortController().signal;

/** Work that ends when it is told to. */
function work(log: string[], name: string): { run: () => Promise<string>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<string> => {
    log.push(name);
    await promise;
    return name;
  };
  return { run, end: resolve };
}

it("runs as many at once as there are places, and the others in their order", async () => {
  const slots = new Slots(2, 10);
  const log: string[] = [];
  const works = ["a", "b", "c", "d"].map((name) => work(log, name));
  const results = works.map(({ run }) => slots.run(never, run));
  expect(log).toEqual(["a", "b"]);

  works[1]?.end();
  await results[1];
  expect(log).toEqual(["a", "b", "c"]);

  for (const { end } of works) end();
  expect(await Promise.all(results)).toEqual(["a", "b", "c", "d"]);
});

it("answers 503 with Retry-After beyond those who may wait", async () => {
  const slots = new Slots(1, 1);
  const log: string[] = [];
  const [first, second, third] = ["a", "b", "c"].map((name) => work(log, name)) as [
    ReturnType<typeof work>,
    ReturnType<typeof work>,
    ReturnType<typeof work>,
  ];
  const results = [slots.run(never, first.run), slots.run(never, second.run)];

  await expect(slots.run(never, third.run)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    headers: { "Retry-After": "1" },
  });

  first.end();
  second.end();
  await Promise.all(results);
  third.end();
  expect(await slots.run(never, third.run)).toBe("c");
});

it("lets whoever leaves out of the queue, and frees the place of what fails", async () => {
  const slots = new Slots(1, 10);
  const log: string[] = [];
  const first = work(log, "a");
  const leaving = new AbortController();
  const held = slots.run(never, first.run);
  const waiting = slots.run(leaving.signal, work(log, "b").run);

  leaving.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  first.end();
  await held;

  await expect(slots.run(never, () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(await slots.run(never, async () => "next")).toBe("next");
  expect(log).toEqual(["a"]);
});
