/** Settings that every backend's URL takes. */

import type { ConfigUrl } from "@mikcar/core";

export interface Limits {
  /** Of one message; after that many it is dead. */
  readonly maxDeliveries: number;
}

/** Reads `max_deliveries`, 1 to 1000; default 5. @throws CONFIG_ERROR. */
export function limits(url: ConfigUrl): Limits {
  return { maxDeliveries: url.integer("max_deliveries", 5, { min: 1, max: 1000 }) };
}

/** How long an idempotency key is remembered. */
export const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000;
