/** `--check`. */

import { isMikcarError } from "./errors.ts";
import { pingError } from "./health.ts";
import { open, type Offer } from "./opening.ts";
import type { Settings } from "./settings.ts";

/** Opens and pings every backend, tells all that is wrong, and leaves exit code 0 or 1. */
export async function check(offers: readonly Offer[], settings: Settings): Promise<void> {
  const rows = await Promise.all(offers.map((offer) => checkOne(offer, settings)));
  const width = (column: 0 | 1 | 2): number => Math.max(...rows.map((row) => row[column].length));
  for (const [name, url, state, remark] of rows) {
    process.stdout.write(
      `${name.padEnd(width(0))}  ${state.padEnd(width(2))}  ${url.padEnd(width(1))}  ${remark}`.trimEnd() + "\n",
    );
  }
  if (rows.some(([, , state]) => state !== "ok")) process.exitCode = 1;
}

async function checkOne(
  offer: Offer,
  settings: Settings,
): Promise<[name: string, url: string, state: string, remark: string]> {
  try {
    const sidecar = await open(offer, settings);
    const error = await pingError(sidecar);
    await sidecar.close();
    return [offer.name, sidecar.url, error === undefined ? "ok" : "down", error?.message ?? ""];
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    return [offer.name, "", "wrong", error.message];
  }
}
