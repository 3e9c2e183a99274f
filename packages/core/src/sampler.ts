/** `OTEL_TRACES_SAMPLER`: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */

import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { Env } from "./env.ts";
import { configError } from "./errors.ts";

/** Default `parentbased_always_on`. @throws CONFIG_ERROR naming the variable, and what is known. */
export function sampler(env: Env): Sampler {
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio(env)),
  };
  const name = env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on";
  const rootName = name.replace(/^parentbased_/, "");
  const root = Object.hasOwn(roots, rootName) ? roots[rootName] : undefined;
  if (root === undefined) {
    const known = Object.keys(roots).flatMap((one) => [one, `parentbased_${one}`]);
    throw configError(`OTEL_TRACES_SAMPLER is "${name}"; known: ${known.join(", ")}`);
  }
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root: root() }) : root();
}

function ratio(env: Env): number {
  const text = env["OTEL_TRACES_SAMPLER_ARG"] || "1";
  const value = Number(text);
  if (value >= 0 && value <= 1) return value;
  throw configError(`OTEL_TRACES_SAMPLER_ARG is "${text}"; expected a number from 0 to 1`);
}
