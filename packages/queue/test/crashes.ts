/** The same misfortunes for every backend that outlives its sidecar. */

import { expect, it } from "@jest/globals";
import { Fleet } from "./fleet.ts";
import { Storm } from "./storm.ts";

export const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 4;
const ROUND_MS = 15_000;

export interface Hardship {
  /** Of a backend with `max_deliveries=1000`, which several sidecars share. */
  readonly url: () => string;
  readonly leasesEndEarly?: boolean;
  /** How many times it happens; fewer for a broker that takes long to start. */
  readonly rounds?: number;
}

export function survivesKills({ url, leasesEndEarly = false }: Hardship): void {
  it(
    "loses nothing when one of two sidecars is killed while it pushes, pops and acknowledges",
    async () => {
      const fleet = new Fleet(url());
      const storm = await begin(fleet, leasesEndEarly);
      try {
        for (let round = 0; round < ROUNDS; round++) {
          await storm.progress(10 + Math.random() * 80);
          await fleet.replaceOne();
        }
        await storm.finish();
      } finally {
        await fleet.stop();
      }

      expect(storm.faults).toEqual([]);
      // Answered, and killed before that was written down: the one kind of repetition there can be.
      expect(storm.repeated.length).toBeLessThanOrEqual(ROUNDS * 8);
      expect(storm.confirmed.size).toBeGreaterThan(ROUNDS * 10);
    },
    120_000 + ROUNDS * ROUND_MS,
  );
}

async function begin(fleet: Fleet, leasesEndEarly: boolean): Promise<Storm> {
  await fleet.start();
  await fleet.start();
  return new Storm({ urls: fleet.urls, queue: "storm", leasesEndEarly });
}

/** @param interrupt Takes the broker away and brings it back. */
export function survivesItsBroker(
  what: string,
  { url, leasesEndEarly = false, rounds = ROUNDS }: Hardship,
  interrupt: () => Promise<void>,
): void {
  it(
    `loses nothing and repeats nothing when the broker ${what} under load`,
    async () => {
      const fleet = new Fleet(url());
      const storm = await begin(fleet, leasesEndEarly);
      try {
        for (let round = 0; round < rounds; round++) {
          await storm.progress(10 + Math.random() * 80);
          await interrupt();
        }
        await storm.finish();
      } finally {
        await fleet.stop();
      }

      expect(storm.faults).toEqual([]);
      if (!leasesEndEarly) expect(storm.repeated).toEqual([]);
      expect(storm.refusals).toBeGreaterThan(0);
    },
    120_000 + rounds * ROUND_MS,
  );
}
