/** `/ready`: one ping per backend, at most every second, each with a deadline. */

import type { Reply } from "./routes.ts";
import type { Sidecar } from "./service.ts";

const FRESH_MS = 1000;
const DEADLINE_MS = 2000;

interface ServiceHealth {
  readonly status: "up" | "down";
  readonly backend: string;
  readonly latency_ms: number;
}

export class Readiness {
  readonly #sidecars: readonly Sidecar[];
  #report: Promise<Reply> | undefined;
  #askedAt = -Infinity;

  constructor(sidecars: readonly Sidecar[]) {
    this.#sidecars = sidecars;
  }

  /** 200 when every backend answers, else 503. Callers within one second share one report. */
  report(): Promise<Reply> {
    const now = performance.now();
    if (this.#report === undefined || now - this.#askedAt >= FRESH_MS) {
      this.#askedAt = now;
      this.#report = this.#ask();
    }
    return this.#report;
  }

  async #ask(): Promise<Reply> {
    const entries = await Promise.all(
      this.#sidecars.map(async (sidecar) => [sidecar.name, await health(sidecar)] as const),
    );
    const isReady = entries.every(([, { status }]) => status === "up");
    return {
      status: isReady ? 200 : 503,
      body: { status: isReady ? "ready" : "unready", services: Object.fromEntries(entries) },
    };
  }
}

async function health(sidecar: Sidecar): Promise<ServiceHealth> {
  const start = performance.now();
  const error = await pingError(sidecar);
  const latency_ms = Math.round((performance.now() - start) * 10) / 10;
  return { status: error === undefined ? "up" : "down", backend: sidecar.backend, latency_ms };
}

/** Why a backend does not answer within 2 s, or undefined when it does. */
export async function pingError(sidecar: Sidecar): Promise<Error | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS);
  try {
    await Promise.race([sidecar.ping(), late.promise]);
    return undefined;
  } catch (error) {
    return error as Error; // backends throw errors, never other values
  } finally {
    clearTimeout(timer);
  }
}
