/**
 * `/metrics`: what the server has done, as Prometheus reads it. Names and labels of calls follow the OpenTelemetry conventions
 * for HTTP servers (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/). Labels hold route patterns and known
 * words, so that no caller makes a new one.
 */

import type { Sample } from "./metrics-text.ts";

/** Upper bounds in seconds: those of the conventions, and three below for answers that come from memory. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);
/** The status of a call whose client left before there was an answer; it is never sent. */
export const CLIENT_GONE = 499;

export type Labels = Readonly<Record<string, string | number>>;

/** A value as it is now, told by a backend or by the server. */
export interface Gauge {
  /** With its unit at the end: `mikcar_sql_pool_connections`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
  readonly value: number;
}

/** Durations of calls with one outcome. */
class Histogram {
  readonly counts = new Float64Array(BOUNDS.length + 1);
  sum = 0;

  add(seconds: number): void {
    let at = 0;
    while (at < BOUNDS.length && seconds > (BOUNDS[at] as number)) at++; // within the list
    this.counts[at] = (this.counts[at] as number) + 1; // one longer than the list
    this.sum += seconds;
  }

  samples(labels: Labels): Sample["values"] {
    let total = 0;
    const buckets = [...this.counts].map((count, at) => {
      total += count;
      return { metricName: `${DURATION}_bucket`, labels: { ...labels, le: BOUNDS[at] ?? "+Inf" }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${DURATION}_sum`, labels, value: this.sum },
      { metricName: `${DURATION}_count`, labels, value: total },
    ];
  }
}

const DURATION = "http_server_request_duration_seconds";

/** The calls of one method on one route. */
export class Meter {
  readonly #labels: Labels;
  readonly #outcomes = new Map<number | string, { readonly status: number; readonly histogram: Histogram }>();

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  /** @param code Of the error that was answered, undefined when it was none. */
  add(status: number, code: string | undefined, seconds: number): void {
    let outcome = this.#outcomes.get(code ?? status);
    if (outcome === undefined) {
      outcome = { status, histogram: new Histogram() };
      this.#outcomes.set(code ?? status, outcome);
    }
    outcome.histogram.add(seconds);
  }

  samples(): Sample["values"] {
    return [...this.#outcomes].flatMap(([key, { status, histogram }]) => {
      const error = typeof key === "string" ? { error_type: key } : {};
      return histogram.samples({ ...this.#labels, http_response_status_code: status, ...error });
    });
  }
}

/** All that a server counts. */
export class Metrics {
  readonly #meters = new Map<string, Meter>();
  readonly #gauges: (() => readonly Gauge[] | Promise<readonly Gauge[]>)[] = [];

  /** @param service `server` for the server's own routes. @param route With `{name}` for its parameters; undefined: no route. */
  meter(service: string, method: string, route: string | undefined): Meter {
    const verb = METHODS.has(method) ? method : "_OTHER";
    const key = `${service} ${verb} ${route}`;
    const found = this.#meters.get(key);
    if (found !== undefined) return found;
    const meter = new Meter({
      service,
      http_request_method: verb,
      ...(route === undefined ? {} : { http_route: route }),
    });
    this.#meters.set(key, meter);
    return meter;
  }

  /** Asked at each reading. */
  watch(read: () => readonly Gauge[] | Promise<readonly Gauge[]>): void {
    this.#gauges.push(read);
  }

  /** All as it is now, for `metricsText`. */
  async samples(): Promise<Sample[]> {
    const gauges = (await Promise.all(this.#gauges.map((read) => read()))).flat();
    const byName = Map.groupBy(gauges, ({ name }) => name);
    return [
      {
        name: DURATION,
        help: "Duration of HTTP requests until their answer was sent. error_type is the code of the error.",
        type: "histogram",
        aggregator: "sum",
        values: [...this.#meters.values()].flatMap((meter) => meter.samples()),
      },
      ...[...byName].map(([name, [first, ...rest]]): Sample => ({
        name,
        help: first?.help ?? "",
        type: "gauge",
        aggregator: name === "mikcar_backend_up" || name === "mikcar_build_info" ? "min" : "sum",
        values: [first, ...rest].flatMap((gauge) =>
          gauge === undefined ? [] : [{ labels: gauge.labels ?? {}, value: gauge.value }],
        ),
      })),
    ];
  }
}
