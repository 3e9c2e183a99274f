/** The routes of the server itself: `/health`, `/ready`, `/metrics`, `/openapi.json` and `/docs`. */

import { docsPage } from "./docs.ts";
import type { Readiness } from "./health.ts";
import type { Sample } from "./metrics-text.ts";
import { openApi, serverSpecs } from "./openapi.ts";
import type { Reply } from "./routes.ts";
import type { BoundRoute, Sidecar } from "./service.ts";

export const HEALTHY: Reply = { headers: { "Content-Type": "application/json" }, body: '{"status":"healthy"}' };
/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
const METRICS = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" };
const PAGE = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
};

export interface OwnParts {
  readonly sidecars: readonly Sidecar[];
  readonly version: string;
  readonly readiness: Readiness;
  /** By process. */
  readonly samples: () => Promise<readonly (readonly Sample[])[]>;
}

/** The document is written when it is first asked for. */
export function ownRoutes({ sidecars, version, readiness, samples }: OwnParts): readonly BoundRoute[] {
  let known: ReturnType<typeof openApi> | undefined;
  const document = (): ReturnType<typeof openApi> => (known ??= openApi(sidecars, version));
  const handlers: Readonly<Record<keyof typeof serverSpecs, () => Promise<Reply>>> = {
    "/health": async () => HEALTHY,
    "/ready": () => readiness.reply(),
    "/metrics": async () => {
      const { metricsText } = await import("./metrics-text.ts");
      return { headers: METRICS, body: await metricsText(await samples()) };
    },
    "/openapi.json": async () => ({ body: document() }),
    "/docs": async () => ({ headers: PAGE, body: docsPage(document()) }),
  };
  return Object.entries(serverSpecs).flatMap(([path, spec]) => {
    const handle = handlers[path as keyof typeof serverSpecs]; // the keys of both are the same
    return (["GET", "HEAD"] as const).map((method) => ({ method, path, spec, handle }));
  });
}
