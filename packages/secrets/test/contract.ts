/** What the secrets service means over HTTP, whatever is behind it. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { SecretsBackend } from "../src/backend.ts";
import { type Client, MARK, serve } from "./client.ts";
import { history } from "./contract/history.ts";
import { listing } from "./contract/listing.ts";
import { writing } from "./contract/writing.ts";

/** Every difference we accept, by name. */
export type Quirk =
  /** A version is an id, and two of one millisecond or second have no order. */
  "versions-are-ids";

export interface Harness {
  /** Empty. */
  open(): Promise<SecretsBackend>;
  /** With the reason. */
  readonly quirks?: Partial<Record<Quirk, string>>;
}

/** What a test works on: a client, and a folder of names that no other test uses. */
export interface Current {
  readonly client: () => Client;
  readonly folder: () => string;
  readonly has: (quirk: Quirk) => boolean;
}

export function secretsContract(name: string, { open, quirks = {} }: Harness): void {
  describe(`${name} keeps the secrets contract`, () => {
    let client: Client;
    let count = 0;
    beforeAll(async () => {
      client = await serve(await open());
    }, 60_000);
    afterAll(() => client?.close());
    beforeEach(() => {
      count++;
    });

    const current: Current = {
      client: () => client,
      folder: () => `test-${count}`,
      has: (quirk) => quirks[quirk] !== undefined,
    };
    describe("writing", () => writing(current));
    describe("history", () => history(current));
    describe("listing", () => listing(current));

    it("has told no value to anybody but who asked for it", () => {
      expect(client.said()).toContain("trace_id");
      expect(client.said()).not.toContain(MARK);
    });
  });
}
