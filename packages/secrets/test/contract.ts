/** What the secrets service means over HTTP, whatever is behind it. */

import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import type { SecretsBackend } from "../src/backend.ts";
import { type Client, MARK, serve } from "./client.ts";
import { history } from "./contract/history.ts";
import { listing } from "./contract/listing.ts";
import { writing } from "./contract/writing.ts";

/** Every difference we accept, by name. */
export type Quirk =
  /** A version is an id, and two of one millisecond or second have no order. */
  | "versions-are-ids"
  /** A list of versions has the time of the call where theirs should be. */
  | "versions-tell-now";

export interface Harness {
  /** Empty. */
  open(): Promise<SecretsBackend>;
  /** Who the sidecar is there: tokens and keys that nobody may see. */
  hidden(): readonly string[];
  /** With the reason. */
  readonly quirks?: Partial<Record<Quirk, string>>;
}

/** What a test works on: a client, and a folder of names that no other test uses. */
export interface Current {
  readonly client: () => Client;
  readonly folder: () => string;
  readonly has: (quirk: Quirk) => boolean;
}

export function secretsContract(name: string, { open, hidden, quirks = {} }: Harness): void {
  describe(`${name} keeps the secrets contract`, () => {
    let client: Client;
    let count = 0;
    /** What libraries print by themselves. */
    const printed: string[] = [];
    beforeAll(async () => {
      for (const method of ["log", "info", "warn", "error", "debug"] as const) {
        jest.spyOn(console, method).mockImplementation((...parts) => void printed.push(inspect(parts, { depth: 20 })));
      }
      client = await serve(await open());
    }, 60_000);
    afterAll(() => client?.close());
    afterAll(() => void jest.restoreAllMocks());
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

    it("has told no value, token or key to anybody but who asked for the value", () => {
      const all = client.said() + printed.join("\n");

      expect(client.said()).toContain("trace_id");
      for (const secret of [MARK, ...hidden()])
        expect([secret.length > 3, all.includes(secret)]).toEqual([true, false]);
    });
  });
}
