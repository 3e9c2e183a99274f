/** What the queue service means over HTTP, whatever is behind it. */

import { afterAll, beforeAll, beforeEach, describe } from "@jest/globals";
import type { QueueBackend } from "../src/backend.ts";
import { type Client, type Current, serve } from "./client.ts";
import { leases } from "./contract/leases.ts";
import { looking } from "./contract/looking.ts";
import { sending } from "./contract/sending.ts";
import { taking } from "./contract/taking.ts";
import { topics } from "./contract/topics.ts";

/** Every difference we accept, by name. */
export type Quirk =
  /** `leased` and `delayed` of a length are null. */
  | "leases-are-not-counted"
  /** A delay may be longer by a hundredth. */
  | "delays-are-rounded-up";

export interface Harness {
  /** With `max_deliveries=3`. Other tests may have used what is behind it: names are unique. */
  open(): Promise<QueueBackend>;
  /** With the reason. */
  readonly quirks?: Partial<Record<Quirk, string>>;
}

const run = Date.now().toString(36);
let count = 0;

export function queueContract(name: string, { open, quirks = {} }: Harness): void {
  describe(`${name} keeps the queue contract`, () => {
    let client: Client;
    beforeAll(async () => {
      client = await serve(await open());
    }, 60_000);
    afterAll(() => client?.close());
    beforeEach(() => {
      count++;
    });

    const current: Current = {
      client: () => client,
      name: (label = "queue") => encodeURIComponent(`${label} ${run}/${count}`),
      has: (quirk) => quirks[quirk] !== undefined,
    };
    describe("sending", () => sending(current));
    describe("taking", () => taking(current));
    describe("leases", () => leases(current));
    describe("topics", () => topics(current));
    describe("looking", () => looking(current));
  });
}
