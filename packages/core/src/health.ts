/** `/ready`: one ping per backend, at most every second, each with a deadline. */

import { isMikcarError, unavailable } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Gauge } from "./metrics.ts";
import type { Reply } from "./routes.ts";
import type { Sidecar } from "./service.ts";

const FRESH_MS = 1000;
const DEADLINE_MS = 2000;

interface ServiceHealth {
  readonly status: "up" | "down";
  readonly backend: string;
  readonly latency_ms: number;
  /** Of a backend that is down: what to look at. Its own words are in the log. */
  readonly error?: string;
}

type Report = Readonly<Record<string, ServiceHealth>>;

const REFUSES = "it refuses the sidecar: look at the URL, the credentials and what they may do; the log has its words";
const SILENT = "it does not answer: look at its address, and whether it runs; the log has the reason";

export class Readiness {
  readonly #sidecars: readonly Sidecar[];
  readonly #log: Log;
  /** What was last told of each service that is down. */
  readonly #told = new Map<string, string>();
  #report: Promise<Report> | undefined;
  #askedAt = -Infinity;

  constructor(sidecars: readonly Sidecar[], log: Log) {
    this.#sidecars = sidecars;
    this.#log = log;
  }

  /** 200 when every backend answers, else 503. */
  async reply(): Promise<Reply> {
    const services = await this.#services();
    const isReady = Object.values(services).every(({ status }) => status === "up");
    return { status: isReady ? 200 : 503, body: { status: isReady ? "ready" : "unready", services } };
  }

  async gauges(): Promise<Gauge[]> {
    return Object.entries(await this.#services()).map(([service, { status, backend }]) => ({
      name: "mikcar_backend_up",
      help: "1 when the backend answered its last ping, at most a second ago, within 2 s; else 0.",
      labels: { service, backend },
      value: status === "up" ? 1 : 0,
    }));
  }

  /** Callers within one second share one report. */
  #services(): Promise<Report> {
    const now = performance.now();
    if (this.#report === undefined || now - this.#askedAt >= FRESH_MS) {
      this.#askedAt = now;
      this.#report = this.#ask();
    }
    return this.#report;
  }

  async #ask(): Promise<Report> {
    const ask = async (sidecar: Sidecar): Promise<[string, ServiceHealth]> => [
      sidecar.name,
      await this.#health(sidecar),
    ];
    return Object.fromEntries(await Promise.all(this.#sidecars.map(ask)));
  }

  async #health(sidecar: Sidecar): Promise<ServiceHealth> {
    const { name, backend } = sidecar;
    const start = performance.now();
    const error = await pingError(sidecar);
    const latency_ms = Math.round((performance.now() - start) * 10) / 10;
    this.#tell(name, error);
    if (error === undefined) return { status: "up", backend, latency_ms };
    const isRefused = isMikcarError(error) && error.code === "BAD_GATEWAY";
    return { status: "down", backend, latency_ms, error: isRefused ? REFUSES : SILENT };
  }

  /** Once for each reason, however often it is asked. */
  #tell(service: string, error: Error | undefined): void {
    if (error?.message === this.#told.get(service)) return;
    if (error === undefined) {
      this.#told.delete(service);
      this.#log.info({ service }, "the backend answers again");
      return;
    }
    this.#told.set(service, error.message);
    this.#log.error({ service, err: error }, "the backend is down");
  }
}

/** Why a backend does not answer within 2 s, or undefined when it does. */
export async function pingError(sidecar: Sidecar): Promise<Error | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(unavailable(`no answer within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS);
  try {
    await Promise.race([sidecar.ping(), late.promise]);
    return undefined;
  } catch (error) {
    return error as Error; // backends throw errors, never other values
  } finally {
    clearTimeout(timer);
  }
}
