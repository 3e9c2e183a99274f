/** Those who wait, over a backend that does exactly what a test tells it. */

import { afterEach, expect, it } from "@jest/globals";
import { unavailable } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import type { Message, QueueBackend, Taken } from "../src/backend.ts";
import { Errands } from "../src/errands.ts";
import { Waiting } from "../src/waiting.ts";

const source = { name: "q", group: undefined };
const message = (id: string): Message => ({ id, payload: "1", deliveries: 1 });

/** Answers each `take` when the test says so. */
class Backend {
  readonly takes: { max: number; visibilityMs: number; answer(taken: Taken | Error): void }[] = [];
  readonly released: string[] = [];
  listeners = 0;
  ring: () => void = () => undefined;

  take(_source: unknown, max: number, visibilityMs: number): Promise<Taken> {
    return new Promise((resolve, reject) => {
      const answer = (taken: Taken | Error): void => (taken instanceof Error ? reject(taken) : resolve(taken));
      this.takes.push({ max, visibilityMs, answer });
    });
  }

  async release(_source: unknown, ids: readonly string[]): Promise<void> {
    this.released.push(...ids);
  }

  async listen(_source: unknown, ring: () => void): Promise<() => void> {
    this.listeners++;
    this.ring = ring;
    return () => this.listeners--;
  }
}

class Caller {
  readonly #listeners = new Set<() => void>();
  readonly whenEnding = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  leave(): void {
    for (const listener of this.#listeners) listener();
  }
  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }
}

const opened: Waiting[] = [];
function setUp(): { backend: Backend; waiting: Waiting; take: (more?: object) => ReturnType<Waiting["take"]> } {
  const backend = new Backend();
  const waiting = new Waiting(backend as unknown as QueueBackend, new Errands()); // the methods that waiting uses
  opened.push(waiting);
  const wanted = { max: 1, visibilityMs: 1000, waitMs: 60_000, caller: new Caller() };
  return { backend, waiting, take: (more = {}) => waiting.take(source, { ...wanted, ...more }) };
}
afterEach(async () => {
  for (const waiting of opened.splice(0)) await waiting.close();
});

async function answer({ takes }: Backend, taken: Taken | Error): Promise<void> {
  await until("somebody takes", () => takes.length > 0);
  takes.shift()?.answer(taken);
}
const nothing: Taken = { messages: [], nextInMs: undefined };

it("asks once for all who come in one turn, and gives each a share", async () => {
  const { backend, take } = setUp();
  const takers = [take(), take({ max: 3 }), take()];

  await until("they take", () => backend.takes.length === 1);
  expect(backend.takes[0]?.max).toBe(5);
  await answer(backend, { messages: ["a", "b", "c", "d"].map(message), nextInMs: undefined });

  const got = (await Promise.all(takers)).map((messages) => messages.map(({ id }) => id));
  expect(got).toEqual([["a"], ["b", "c"], ["d"]]);
});

it("listens only while somebody waits, and looks again once it listens", async () => {
  const { backend, take } = setUp();
  const caller = new Caller();
  const taker = take({ caller });

  await answer(backend, nothing);
  await answer(backend, nothing); // what came before it listened would not have rung
  expect(backend.listeners).toBe(1);
  backend.ring();
  await answer(backend, { messages: [message("a")], nextInMs: undefined });

  expect((await taker).map(({ id }) => id)).toEqual(["a"]);
  await until("nobody listens", () => backend.listeners === 0);
  expect(caller.isWatched).toBe(false);
});

it("looks again when it is rung while it looks", async () => {
  const { backend, take } = setUp();
  const taker = take();
  await answer(backend, nothing);
  await answer(backend, nothing);
  backend.ring();
  await until("it looks", () => backend.takes.length === 1);

  backend.ring(); // for a message that this look may not have seen
  await answer(backend, nothing);
  await answer(backend, { messages: [message("a")], nextInMs: undefined });

  expect(await taker).toHaveLength(1);
});

it("gives back what was taken for one who has left meanwhile", async () => {
  const { backend, take } = setUp();
  const caller = new Caller();
  const taker = take({ caller });
  await answer(backend, nothing);
  await answer(backend, nothing);
  backend.ring();
  await until("it looks", () => backend.takes.length === 1);

  caller.leave();
  await answer(backend, { messages: [message("a")], nextInMs: undefined });

  expect(await taker).toEqual([]);
  await until("it is given back", () => backend.released.length === 1);
});

it("hands what was taken for one who has left to the next in line", async () => {
  const { backend, take } = setUp();
  const caller = new Caller();
  const takers = [take({ caller }), take()];
  await answer(backend, nothing);
  await answer(backend, nothing);
  backend.ring();
  await until("it looks", () => backend.takes.length === 1);

  caller.leave();
  await answer(backend, { messages: [message("a")], nextInMs: undefined });

  expect((await Promise.all(takers)).map(({ length }) => length)).toEqual([0, 1]);
  expect(backend.released).toEqual([]);
});

it("looks again when something is due, and at once when there is more", async () => {
  const { backend, take } = setUp();
  const takers = [take(), take()];

  await answer(backend, { messages: [message("a")], nextInMs: 0 });
  await answer(backend, { messages: [], nextInMs: 20 });
  await answer(backend, { messages: [], nextInMs: 20 });
  await answer(backend, { messages: [message("b")], nextInMs: undefined });

  expect((await Promise.all(takers)).flat().map(({ id }) => id)).toEqual(["a", "b"]);
});

it("refuses those whose take failed, and asks anew for the others", async () => {
  const { backend, take } = setUp();
  const takers = [take({ visibilityMs: 1 }), take({ visibilityMs: 2 })];

  await answer(backend, unavailable("away"));
  await expect(takers[0]).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await until("it asks for the other", () => backend.takes.length === 1);
  expect(backend.takes[0]?.visibilityMs).toBe(2);
  await answer(backend, { messages: [message("a")], nextInMs: undefined });

  expect(await takers[1]).toHaveLength(1);
});

it("ends all waits with nothing when it is closed", async () => {
  const { backend, waiting, take } = setUp();
  const taker = take();
  await answer(backend, nothing);
  await answer(backend, nothing);

  await waiting.close();

  expect(await taker).toEqual([]);
  expect(backend.listeners).toBe(0);
  await expect(take()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
