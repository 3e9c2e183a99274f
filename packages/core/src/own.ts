/** The routes of the server itself: `/health`, `/ready`, `/openapi.json` and `/docs`. */

import { docsPage } from "./docs.ts";
import { Readiness } from "./health.ts";
import type { Log } from "./log.ts";
import { openApi, serverSpecs } from "./openapi.ts";
import type { Reply } from "./routes.ts";
import type { BoundRoute, Sidecar } from "./service.ts";

export const HEALTHY: Reply = { headers: { "Content-Type": "application/json" }, body: '{"status":"healthy"}' };
const PAGE = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
};

/** The document is written when it is first asked for. */
export function ownRoutes(sidecars: readonly Sidecar[], version: string, log: Log): readonly BoundRoute[] {
  const readiness = new Readiness(sidecars, log);
  let known: ReturnType<typeof openApi> | undefined;
  const document = (): ReturnType<typeof openApi> => (known ??= openApi(sidecars, version));
  const handlers: Readonly<Record<keyof typeof serverSpecs, () => Promise<Reply>>> = {
    "/health": async () => HEALTHY,
    "/ready": () => readiness.report(),
    "/openapi.json": async () => ({ body: document() }),
    "/docs": async () => ({ headers: PAGE, body: docsPage(document()) }),
  };
  return Object.entries(serverSpecs).flatMap(([path, spec]) => {
    const handle = handlers[path as keyof typeof serverSpecs]; // the keys of both are the same
    return (["GET", "HEAD"] as const).map((method) => ({ method, path, spec, handle }));
  });
}
