/** From what a program offers to backends that are open. */

import { type ConfigUrl, configUrl } from "./config-url.ts";
import { readSecret } from "./env.ts";
import { configError, isMikcarError } from "./errors.ts";
import type { Log } from "./log.ts";
import { type Sharing, sharingOf, type Sidecar, type Startable, urlFromEnv } from "./service.ts";
import type { Settings } from "./settings.ts";
import { forwardedSidecar } from "./workers/forward.ts";
import { socketOf, type WorkerPlan } from "./workers/messages.ts";

/** A service that a program offers: its words now, its code when it is chosen. */
export interface Offer extends Pick<Startable, "name" | "env" | "summary"> {
  load(): Promise<Startable>;
}

/** All of them, or none. @param plan Absent: this process serves alone. @throws CONFIG_ERROR */
export async function openAll(
  offers: readonly Offer[],
  settings: Settings,
  log: Log,
  plan?: WorkerPlan,
): Promise<Sidecar[]> {
  const opened = await Promise.allSettled(offers.map((offer) => open(offer, settings, log, plan)));
  const sidecars = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = opened.find((result) => result.status === "rejected");
  if (failed === undefined) return sidecars;
  await Promise.all(sidecars.map((sidecar) => sidecar.close()));
  throw failed.reason;
}

/** What another worker has open is forwarded to it. @throws CONFIG_ERROR */
export async function open(offer: Offer, settings: Settings, log?: Log, plan?: WorkerPlan): Promise<Sidecar> {
  const { name, env: variable, load } = offer;
  const service = await load();
  const owner = plan?.owners[name];
  if (plan !== undefined && owner !== undefined && owner !== plan.number) {
    const url = serviceUrl(service, settings);
    return forwardedSidecar(service, { scheme: url.scheme, url: url.toString() }, socketOf(plan, owner));
  }
  const isUnset = refuseUnset(variable, settings);
  const isTeller = plan === undefined || owner !== undefined || plan.number === 0; // what all have open is told of once
  const voice = isTeller ? log : undefined;
  const sidecar = await service.fromUrl(urlFromEnv(service, settings.env), (sentence) =>
    voice?.warn({ service: name }, sentence),
  );
  if (isUnset) voice?.info({ service: name, url: sidecar.url }, `${variable} is not set; using the embedded default`);
  return sidecar;
}

/** @returns Whether the variable is unset. @throws CONFIG_ERROR when it must not be. */
export function refuseUnset(variable: string, settings: Settings): boolean {
  const isUnset = readSecret(settings.env, variable) === undefined;
  if (!isUnset || !settings.strict) return isUnset;
  throw configError(`${variable} is not set, and --strict allows no embedded default; set it, or leave --strict out`);
}

/** Where its backend is open. @throws CONFIG_ERROR when several workers cannot have it. */
export function sharingAmong(service: Startable, url: ConfigUrl, { workers }: Settings): Sharing {
  const sharing = sharingOf(service, url);
  if (sharing !== "none" || workers === 1) return sharing;
  throw configError(
    `${service.env}: ${url} lives in one process, and --workers asks for ${workers}; choose another backend, or one worker`,
  );
}

/** @throws CONFIG_ERROR naming the variable. */
export function serviceUrl(service: Startable, { env }: Settings): ConfigUrl {
  try {
    return configUrl(urlFromEnv(service, env));
  } catch (error) {
    throw isMikcarError(error) ? configError(`${service.env}: ${error.message}`, { cause: error }) : error;
  }
}
