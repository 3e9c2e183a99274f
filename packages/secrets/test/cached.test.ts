/** `SECRETS_CACHE_SECONDS`. */

import { afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import type { SecretsBackend } from "../src/backend.ts";
import { open } from "../src/backends/memory.ts";
import { cached, cacheSeconds } from "../src/cached.ts";

let backend: SecretsBackend;
let reads: number;
beforeEach(async () => {
  jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
  const memory = await open(configUrl("memory:"));
  reads = 0;
  const read = memory.read.bind(memory);
  memory.read = (name, version) => {
    reads++;
    return read(name, version);
  };
  backend = memory;
  await backend.create("a", "one", {});
});
afterEach(() => void jest.useRealTimers());

it("keeps what was read for so long, and no longer", async () => {
  const cache = cached(backend, 10);
  await cache.read("a");
  await backend.update("a", "two", undefined); // as another process would

  jest.advanceTimersByTime(9999);
  const within = await cache.read("a");
  jest.advanceTimersByTime(2);

  expect([within?.value, (await cache.read("a"))?.value, reads]).toEqual(["one", "two", 2]);
});

it.each<[string, (cache: SecretsBackend) => Promise<unknown>, string | undefined]>([
  ["an update", (cache) => cache.update("a", "two", undefined), "two"],
  ["a deletion", (cache) => cache.remove("a"), undefined],
  ["both and a creation", (cache) => cache.remove("a").then(() => cache.create("a", "new", {})), "new"],
])("is not there any more after %s of its own", async (_what, change, expected) => {
  const cache = cached(backend, 10);
  await cache.read("a");

  await change(cache);

  expect((await cache.read("a"))?.value).toBe(expected);
});

it("keeps no read that a write has overtaken", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  const slow: SecretsBackend = {
    ...delegate(backend),
    read: async (name) => {
      const found = await backend.read(name);
      await release;
      return found;
    },
  };
  const cache = cached(slow, 10);

  const old = cache.read("a");
  await cache.update("a", "two", undefined);
  resolve();

  expect([(await old)?.value, (await cache.read("a"))?.value]).toEqual(["one", "two"]);
});

it("keeps no absence, no old version, and not more than a thousand", async () => {
  const cache = cached(backend, 10);
  await cache.read("b");
  await backend.create("b", "x", {});
  expect((await cache.read("b"))?.value).toBe("x");
  await cache.read("a", "1");
  await cache.read("a", "1");
  expect(reads).toBe(4);

  for (let at = 0; at < 1000; at++) {
    await backend.create(`n${at}`, "x", {});
    await cache.read(`n${at}`);
  }
  await cache.read("n999");
  expect(reads).toBe(1004);
  await cache.read("b"); // the oldest, so it had to go
  expect(reads).toBe(1005);
});

it("is off unless it is asked for", () => {
  expect(cached(backend, 0)).toBe(backend);
  expect([
    cacheSeconds({}),
    cacheSeconds({ SECRETS_CACHE_SECONDS: "" }),
    cacheSeconds({ SECRETS_CACHE_SECONDS: "60" }),
  ]).toEqual([0, 0, 60]);
  expect(() => cacheSeconds({ SECRETS_CACHE_SECONDS: "soon" })).toThrow(
    'SECRETS_CACHE_SECONDS is "soon"; expected an integer from 0 to 86400',
  );
});

function delegate(to: SecretsBackend): SecretsBackend {
  return {
    ping: () => to.ping(),
    close: () => to.close(),
    read: (name, version) => to.read(name, version),
    create: (name, value, labels) => to.create(name, value, labels),
    update: (name, value, labels) => to.update(name, value, labels),
    remove: (name) => to.remove(name),
    exists: (name) => to.exists(name),
    list: (prefix, page) => to.list(prefix, page),
    versions: (name) => to.versions(name),
  };
}
