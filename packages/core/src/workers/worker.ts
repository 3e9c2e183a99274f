/** A worker of `--workers N`: what its main process asks of it. */

import type * as Cluster from "node:cluster";
import { rmdirSync, rmSync } from "node:fs";
import type { Log } from "../log.ts";
import type { Sample } from "../metrics-text.ts";
import type { Server } from "../server.ts";
import { PLAN, socketOf, type ToMain, type ToWorker, type WorkerPlan } from "./messages.ts";

/** What this process is to do as a worker; undefined when it is none. */
export function readPlan(): WorkerPlan | undefined {
  const text = process.env[PLAN];
  delete process.env[PLAN]; // processes that this one starts are no workers
  return text === undefined ? undefined : (JSON.parse(text) as WorkerPlan); // from the main process alone
}

/** The metrics of all workers, as the main process gathers them. */
export class Gatherer {
  readonly #waiting = new Map<number, (samples: readonly (readonly Sample[])[]) => void>();
  #last = 0;

  ask(): Promise<readonly (readonly Sample[])[]> {
    return new Promise((resolve) => {
      const id = this.#last++;
      this.#waiting.set(id, resolve);
      tell({ kind: "gather", id });
    });
  }

  take(id: number, samples: readonly (readonly Sample[])[]): void {
    this.#waiting.get(id)?.(samples);
    this.#waiting.delete(id);
  }
}

/** Does what the main process says until it says to close, or is gone itself; then the process ends. */
export function obey(server: Server, gatherer: Gatherer, plan: WorkerPlan, log: Log): void {
  const end = (): void => {
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "a backend did not close in order");
        process.exit(1);
      },
    );
  };
  const obeyOne = async (message: ToWorker): Promise<void> => {
    if (message.kind === "samples") tell({ kind: "samples", id: message.id, samples: await server.samples() });
    if (message.kind === "gathered") gatherer.take(message.id, message.samples);
    if (message.kind === "drain") await server.drain().then(() => tell({ kind: "drained" }));
    if (message.kind === "close") end();
  };
  process.on("message", (message: ToWorker) => void obeyOne(message));
  const { worker } = process.getBuiltinModule("node:cluster") as unknown as Cluster.Cluster; // as its default export
  if (worker !== undefined) worker.exitedAfterDisconnect = true; // or Node ends it at once when its main process has gone
  process.on("disconnect", () => {
    process.on("exit", () => leave(plan));
    end();
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => undefined); // the main process gets it too
  tell({ kind: "listening", url: server.url });
}

/** Without the main process nobody else takes the sockets away; the last worker takes their folder. */
function leave(plan: WorkerPlan): void {
  try {
    rmSync(socketOf(plan, plan.number), { force: true });
    rmdirSync(plan.folder);
  } catch {
    // others are still there
  }
}

function tell(message: ToMain): void {
  if (process.connected) process.send?.(message);
}
