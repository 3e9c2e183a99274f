/** Whether and where traces go, by the variables of OpenTelemetry. */

import type { Env } from "./env.ts";
import { configError } from "./errors.ts";

/**
 * The URL for traces: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is, else `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTLP_ENDPOINT`
 * with `/v1/traces`; undefined when none is set, or `OTEL_SDK_DISABLED` is true.
 * @throws CONFIG_ERROR when it is no http(s) URL, or another protocol than `http/protobuf` is asked for.
 */
export function tracesUrl(env: Env): string | undefined {
  const names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTLP_ENDPOINT"] as const;
  const name = names.find((one) => env[one]);
  if (name === undefined || env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  const text = env[name] ?? "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw configError(`${name}: expected a URL such as http://localhost:4318`); // it may hold a password
  }
  const protocol = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/protobuf";
  if (protocol !== "http/protobuf") {
    throw configError(
      `OTEL_EXPORTER_OTLP_PROTOCOL is "${protocol}"; known: http/protobuf (collectors take it on port 4318)`,
    );
  }
  return name === names[0] ? url.href : `${url.href.replace(/\/$/, "")}/v1/traces`;
}
