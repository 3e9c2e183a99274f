/**
 * The main process of `--workers N`: it serves nothing itself. It starts the workers, which share its addresses, puts a new
 * one in the place of one that died, passes on when to stop, and gathers metrics.
 */

import type * as Cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Sample } from "../metrics-text.ts";
import { PLAN, type ToMain, type ToWorker, type WorkerPlan } from "./messages.ts";

const cluster = process.getBuiltinModule("node:cluster") as unknown as Cluster.Cluster; // its default export is all there is

/** One that dies sooner is started again later, twice as late each time. */
const STEADY_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A worker that does not answer within this time is left out of the metrics. */
const SAMPLES_MS = 2000;
/** What a worker may take to end, on top of the drain time. */
const CLOSE_MS = 5000;

/** One worker, or the one that takes its place. */
interface Place {
  readonly number: number;
  worker: Cluster.Worker;
  startedAt: number;
  pauseMs: number;
  timer: NodeJS.Timeout | undefined;
  isListening: boolean;
  isDrained: boolean;
}

/** Metrics on their way together. */
interface Gathering {
  readonly missing: Set<number>;
  readonly samples: (readonly Sample[])[];
  readonly finish: () => void;
}

export interface CrewOptions {
  /** 2 or more. */
  readonly count: number;
  readonly owners: WorkerPlan["owners"];
  readonly settings: WorkerPlan["settings"];
  readonly drainMs: number;
  /** For sockets, where the system has no folder for them: that of the embedded backends. */
  readonly dataDir: string;
  readonly log: Log;
}

export class Crew {
  /** As the first worker has told; undefined for a Unix socket alone. */
  url: string | undefined;
  readonly #options: CrewOptions;
  readonly #folder: string;
  readonly #signingKey = randomBytes(32).toString("base64url");
  readonly #places: Place[] = [];
  readonly #gatherings = new Map<number, Gathering>();
  #lastGathering = 0;
  /** Until then nobody is replaced. */
  #isUp = false;
  #isClosing = false;
  #wakeUp: (() => void) | undefined;

  private constructor(options: CrewOptions) {
    this.#options = options;
    this.#folder = socketFolder([tmpdir(), options.dataDir]);
    cluster.setupPrimary({ serialization: "advanced" }); // JSON has no NaN
    cluster.on("message", (worker, message: ToMain) => this.#receive(worker, message));
    cluster.on("exit", (worker, code, signal) => this.#replace(worker, { code, signal }));
  }

  /**
   * Resolves when all workers listen. The first one starts before the others, so that what is wrong is said once: it says it
   * itself, and there is no crew then. @throws CONFIG_ERROR when the system has no folder for sockets.
   */
  static async start(options: CrewOptions): Promise<Crew | undefined> {
    const crew = new Crew(options);
    const first = crew.#add(true);
    await crew.#until(() => first.isListening || first.worker.isDead());
    if (!first.isListening) {
      rmSync(crew.#folder, { recursive: true, force: true });
      return undefined;
    }
    crew.#isUp = true;
    while (crew.#places.length < options.count) crew.#add(false);
    await crew.#until(() => crew.#places.every(({ isListening }) => isListening));
    return crew;
  }

  /** Lets every worker end its open calls, and then its backends. @returns Whether all ended in order. */
  async close(): Promise<boolean> {
    const patienceMs = this.#options.drainMs + CLOSE_MS;
    this.#isClosing = true;
    for (const place of this.#places) {
      clearTimeout(place.timer);
      tell(place, { kind: "drain" });
    }
    const isDrained = (place: Place): boolean => place.isDrained || place.worker.isDead();
    await this.#until(() => this.#places.every(isDrained), patienceMs);
    const stuck = this.#places.filter((place) => !isDrained(place));
    for (const { worker } of stuck) worker.process.kill("SIGKILL"); // it hears nothing
    for (const place of this.#places) tell(place, { kind: "close" });
    await this.#until(() => this.#places.every(({ worker }) => worker.isDead()), patienceMs);
    const late = this.#places.filter(({ worker }) => !worker.isDead());
    for (const { worker } of late) worker.process.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
    return stuck.length + late.length === 0;
  }

  /** Ends every worker at once. */
  kill(): void {
    this.#isClosing = true;
    for (const { worker } of this.#places) worker.process.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #add(isFirst: boolean): Place {
    const number = this.#places.length;
    const worker = this.#fork(number, isFirst);
    const place = { number, worker, startedAt: performance.now(), pauseMs: 0, timer: undefined };
    return this.#places[this.#places.push({ ...place, isListening: false, isDrained: false }) - 1] as Place; // just added
  }

  #fork(number: number, isFirst: boolean): Cluster.Worker {
    const { count, owners, settings } = this.#options;
    const ours = { folder: this.#folder, signingKey: this.#signingKey };
    const plan: WorkerPlan = { number, count, owners, settings, isFirst, ...ours };
    return cluster.fork({ [PLAN]: JSON.stringify(plan) });
  }

  #receive(worker: Cluster.Worker, message: ToMain): void {
    const place = this.#placeOf(worker);
    if (place === undefined) return;
    if (message.kind === "gather") this.#gather(place, message.id);
    if (message.kind === "samples") this.#collect(place, message.id, message.samples);
    if (message.kind === "drained") place.isDrained = true;
    if (message.kind === "listening") {
      place.isListening = true;
      this.url ??= message.url;
    }
    this.#wakeUp?.();
  }

  #gather(asker: Place, answerTo: number): void {
    const id = this.#lastGathering++;
    const asked = this.#places.filter(({ worker }) => worker.isConnected());
    const samples: (readonly Sample[])[] = [];
    const finish = (): void => {
      clearTimeout(timer);
      this.#gatherings.delete(id);
      tell(asker, { kind: "gathered", id: answerTo, samples });
    };
    const timer = setTimeout(finish, SAMPLES_MS);
    this.#gatherings.set(id, { missing: new Set(asked.map(({ number }) => number)), samples, finish });
    for (const place of asked) tell(place, { kind: "samples", id });
  }

  #collect({ number }: Place, id: number, samples: readonly Sample[]): void {
    const gathering = this.#gatherings.get(id);
    if (gathering?.missing.delete(number) !== true) return;
    gathering.samples.push(samples);
    if (gathering.missing.size === 0) gathering.finish();
  }

  #replace(worker: Cluster.Worker, end: { readonly code: number | null; readonly signal: string | null }): void {
    const place = this.#placeOf(worker);
    this.#wakeUp?.();
    if (place === undefined || !this.#isUp || this.#isClosing) return;
    this.#options.log.error({ worker: place.number, ...end }, "a worker has died; another one takes its place");
    const isSteady = performance.now() - place.startedAt > STEADY_MS;
    place.pauseMs = isSteady ? 0 : Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, place.pauseMs * 2));
    place.timer = setTimeout(() => {
      place.startedAt = performance.now();
      place.worker = this.#fork(place.number, false);
    }, place.pauseMs);
  }

  #placeOf(worker: Cluster.Worker): Place | undefined {
    return this.#places.find((place) => place.worker === worker);
  }

  /** Looks again at each message and each end of a worker. */
  async #until(holds: () => boolean, patienceMs = Infinity): Promise<void> {
    const isLate = Promise.withResolvers<"late">();
    const timer = patienceMs === Infinity ? undefined : setTimeout(isLate.resolve, patienceMs, "late");
    while (!holds()) {
      const woken = Promise.withResolvers<"woken">();
      this.#wakeUp = () => woken.resolve("woken");
      if ((await Promise.race([woken.promise, isLate.promise])) === "late") break;
    }
    clearTimeout(timer);
  }
}

function tell({ worker }: Place, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message);
}

/** Only this user may enter it. */
function socketFolder(places: readonly string[]): string {
  let cause: unknown;
  for (const place of places) {
    try {
      return mkdtempSync(join(place, "mikcar-"));
    } catch (error) {
      cause = error; // a system that is read-only has one place alone
    }
  }
  throw configError(`--workers: no folder for sockets can be made in ${places.join(" or ")}; set TMPDIR`, { cause });
}
