/** What the kv interface means, whatever is behind it. */

import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import type { KvBackend } from "../src/backend.ts";
import { glob } from "../src/glob.ts";
import { type Current, increment, list, run, set } from "./calls.ts";
import { type OwnClock, withClock } from "./clock.ts";
import { conditions } from "./contract/conditions.ts";
import { expiry } from "./contract/expiry.ts";
import { listing } from "./contract/listing.ts";
import { numbers } from "./contract/numbers.ts";
import { values } from "./contract/values.ts";
import { watching } from "./contract/watching.ts";

/** Every difference we accept, by name. */
export type Quirk =
  /** Time does not stand still for a test: what happens at the last millisecond is tested `toleranceMs` before. */
  "time-goes-on";

export interface Harness {
  /** Fresh and empty. */
  open(): Promise<KvBackend>;
  /** Of a store that has its own. */
  clock?: OwnClock;
  /** With the reason. */
  quirks?: Partial<Record<Quirk, string>>;
}

export function kvContract(name: string, harness: Harness): void {
  describe(`${name} keeps the kv contract`, () => {
    let kv: KvBackend;
    beforeEach(async () => {
      kv = await harness.open();
      withClock(harness.clock);
    });
    afterEach(async () => {
      jest.useRealTimers();
      withClock(undefined);
      await kv.close();
    });

    const current: Current = () => kv;
    describe("values and keys", () => values(current));
    describe("numbers", () => numbers(current));
    describe("expiry", () => expiry(current));
    describe("conditions and transactions", () => conditions(current));
    describe("listing", () => listing(current));
    describe("watching", () => watching(current));
    describe("the end", () => closing(current));
  });
}

function closing(current: Current): void {
  it("answers a ping while it is open", async () => {
    await expect(current().ping()).resolves.toBeUndefined();
  });

  it("may be closed twice, also at once", async () => {
    await expect(Promise.all([current().close(), current().close()])).resolves.toBeDefined();
    await expect(current().close()).resolves.toBeUndefined();
  });

  it("finishes the writes that came before the close", async () => {
    const written = set(current(), "a", "1");
    await current().close();

    await expect(written).resolves.toBeUndefined();
  });

  const afterClose: Record<keyof Omit<KvBackend, "close" | "gauges">, (kv: KvBackend) => Promise<unknown>> = {
    get: (kv) => kv.get("a"),
    getMany: (kv) => kv.getMany(["a"]),
    exists: (kv) => kv.exists("a"),
    expiresAt: (kv) => kv.expiresAt("a"),
    transact: (kv) => increment(kv, "a"),
    listKeys: (kv) => list(kv),
    pageKeys: (kv) => kv.pageKeys(glob("*"), 10, undefined),
    watch: (kv) => kv.watch(glob("*"), new AbortController().signal),
    ping: (kv) => kv.ping(),
  };
  it.each(Object.entries(afterClose))("refuses %s after the close as UNAVAILABLE", async (_method, call) => {
    await set(current(), "a", "1");

    await current().close();

    await expect(call(current())).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("refuses an empty transaction after the close as UNAVAILABLE", async () => {
    await current().close();

    await expect(run(current())).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
}
