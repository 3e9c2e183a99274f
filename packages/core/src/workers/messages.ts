/** What the main process and its workers say to each other. */

import type { Sample } from "../metrics-text.ts";
import type { Settings } from "../settings.ts";

/** In the environment of a worker: what `WorkerPlan` holds, as JSON. */
export const PLAN = "MIKCAR_WORKER";

/** What a worker is to do; made by the main process. */
export interface WorkerPlan {
  /** From 0; one that takes the place of another has its number. */
  readonly number: number;
  readonly count: number;
  /** Where the sockets are on which workers reach each other. */
  readonly folder: string;
  readonly signingKey: string;
  /** The number of the worker that has the backend of a service open; a service that is not in it is open in each. */
  readonly owners: Readonly<Record<string, number>>;
  /** The first of all: it has the addresses to itself, and tells what is served. */
  readonly isFirst: boolean;
  /** Those that the environment of a worker does not tell. The configuration file may be another one by now. */
  readonly settings: Pick<Settings, "chosen" | "noAuth" | "port">;
}

export type ToWorker =
  | { readonly kind: "samples"; readonly id: number }
  | { readonly kind: "gathered"; readonly id: number; readonly samples: readonly (readonly Sample[])[] }
  | { readonly kind: "drain" }
  | { readonly kind: "close" };

export type ToMain =
  | { readonly kind: "listening"; readonly url: string | undefined }
  | { readonly kind: "samples"; readonly id: number; readonly samples: readonly Sample[] }
  | { readonly kind: "gather"; readonly id: number }
  | { readonly kind: "drained" };

/** Of a worker, or its plan before it is one. */
export function socketOf({ folder }: Pick<WorkerPlan, "folder">, number: number): string {
  return `${folder}/${number}.sock`;
}
