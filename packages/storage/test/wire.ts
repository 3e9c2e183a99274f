/** What the storage service means over HTTP, whatever is behind it. */

import { afterEach, beforeEach, describe } from "@jest/globals";
import { close, serve } from "./client.ts";
import type { Harness } from "./contract.ts";
import { listing } from "./wire/listing.ts";
import { reading } from "./wire/reading.ts";
import { writing } from "./wire/writing.ts";

export function storageWire(name: string, { open, quirks = {} }: Harness): void {
  describe(`${name} over HTTP`, () => {
    beforeEach(async () => serve(await open()));
    afterEach(close);

    writing(quirks["no-proto-metadata"] !== undefined);
    reading();
    listing(quirks["objects-hide-folders"] !== undefined);
  });
}
