/** What a program would do, without serving. */

import { isMikcarError } from "./errors.ts";
import { pingError } from "./health.ts";
import { open, type Offer, serviceUrl, sharingAmong } from "./opening.ts";
import { refuseUnsafe } from "./serving.ts";
import type { Settings } from "./settings.ts";

/** `--check`: opens and pings every backend, tells all that is wrong and where each setting is from, and leaves exit code 0 or 1. */
export async function check(offers: readonly Offer[], settings: Settings): Promise<void> {
  const server = await checkServer(settings);
  const rows = [...(await Promise.all(offers.map((offer) => checkOne(offer, settings)))), ...server];
  process.stdout.write(`${table(rows.map(([name, url, state, remark]) => [name, state, url, remark]))}\n`);
  process.stdout.write(`\n${table(settings.origins.map(({ name, value, from }) => [name, value, from]))}\n`);
  if (rows.some(([, , state]) => state !== "ok")) process.exitCode = 1;
}

type Row = readonly [name: string, url: string, state: string, remark: string];

/** A row when the server itself could not start. */
async function checkServer(settings: Settings): Promise<Row[]> {
  try {
    refuseUnsafe(settings);
    if (settings.tracesUrl !== undefined) (await import("./sampler.ts")).sampler(settings.env);
    return [];
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    return [["server", "", "wrong", error.message]];
  }
}

async function checkOne(offer: Offer, settings: Settings): Promise<Row> {
  try {
    const service = await offer.load();
    sharingAmong(service, serviceUrl(service, settings), settings);
    const sidecar = await open(offer, settings);
    const error = await pingError(sidecar);
    await sidecar.close();
    return [offer.name, sidecar.url, error === undefined ? "ok" : "down", error?.message ?? ""];
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    return [offer.name, "", "wrong", error.message];
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
