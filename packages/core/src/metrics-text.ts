/** The Prometheus text of one process or of many, written by prom-client: loaded when somebody asks for metrics. */

import { AggregatorRegistry, collectDefaultMetrics, register } from "prom-client";

/** A metric with its values, as prom-client hands them from process to process. */
export interface Sample {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** How the values of several processes become one. */
  readonly aggregator: "sum" | "min" | "max" | "first" | "average";
  readonly values: readonly {
    readonly labels: Readonly<Record<string, string | number>>;
    readonly value: number;
    readonly metricName?: string;
  }[];
}

let isCollecting = false;

/** CPU, memory, event loop and handles of this process. The delays of the event loop are watched from the first call on. */
export async function processSamples(): Promise<Sample[]> {
  if (!isCollecting) collectDefaultMetrics();
  isCollecting = true;
  return (await register.getMetricsAsJSON()) as unknown as Sample[]; // it declares less than it gives
}

/** @param processes What each process has told. */
export function metricsText(processes: readonly (readonly Sample[])[]): Promise<string> {
  return AggregatorRegistry.aggregate(processes as Sample[][]).metrics();
}
