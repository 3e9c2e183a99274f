/** Express, for the application's own middleware, and our dispatcher inside anybody's Express application. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { Callers } from "./callers.ts";
import { DEFAULTS, Dispatcher, type Miss, noRoute } from "./dispatch.ts";
import { isMikcarError, MikcarError } from "./errors.ts";
import { createLog, type Log } from "./log.ts";
import type { Reply } from "./routes.ts";
import type { Sidecar } from "./service.ts";

/** An Express middleware, told without Express's types, which this package does not force upon its users. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

export interface RouterOptions {
  /** Asked of every call when given. Absent: whoever reaches the application reaches the service. */
  readonly authToken?: string;
  /** Tokens with scopes, as JSON: what `SIDECAR_TOKENS` holds. */
  readonly tokens?: string;
  /** Default 30 000. */
  readonly timeoutMs?: number;
  /** Default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** Default 5 GiB. */
  readonly maxObjectBytes?: number;
  /** Default: errors on standard output. */
  readonly log?: Log;
}

/**
 * A service as middleware: `app.use("/kv", await sidecarRouter(sidecar))`. Mount it before body parsers. A path that
 * the service does not know is passed on. The application closes the sidecar when it ends.
 */
export async function sidecarRouter(sidecar: Sidecar, options: RouterOptions = {}): Promise<Middleware> {
  const dispatcher = new Dispatcher([{ prefix: "", sidecar, service: sidecar.name }], {
    ...DEFAULTS,
    corsOrigins: [],
    loopbackHostOnly: false,
    sameOriginOnly: false,
    publicUrl: undefined,
    mountedAs: `/${sidecar.name}`,
    ...options,
    callers: new Callers(options.authToken, options.tokens),
    log: options.log ?? (await createLog("error")),
  });
  return (request, response, next) => {
    dispatcher.handle(request, response, () => {
      next();
      return undefined;
    });
  };
}

/** Hands a call to Express, and turns what comes back unanswered into an error of ours. */
export function missHandler(middleware: readonly Middleware[]): Miss {
  let fallback: Promise<Middleware> | undefined;
  return async (call, headers) => {
    const { request, response } = call;
    if (middleware.length === 0) throw noRoute(request.url);
    const app = await (fallback ??= createFallback(middleware));
    for (let at = 0; at < headers.length; at += 2) response.appendHeader(headers[at] ?? "", headers[at + 1] ?? "");
    return new Promise<Reply>((resolve, reject) => {
      response.once("close", () => {
        call.isAnswered = true;
        resolve({});
      });
      app(request, response, (thrown) => {
        for (const name of response.getHeaderNames()) response.removeHeader(name);
        reject(fallbackError(thrown, request.url));
      });
    });
  };
}

/**
 * The application's own middleware, for what no route of ours matches.
 * Express is loaded at the first such call: it costs some 100 ms, and most processes never need it.
 */
async function createFallback(middleware: readonly Middleware[]): Promise<Middleware> {
  const { default: express } = await import("express");
  const app = express().disable("x-powered-by").disable("etag");
  for (const own of middleware) app.use(own);
  return (request, response, next) => app(request as never, response as never, next); // Express widens both itself
}

/** What reaches the end of the Express application: an error of ours, of Express (a status of its own), or nothing. */
function fallbackError(thrown: unknown, url: string | undefined): MikcarError {
  if (thrown === undefined) return noRoute(url);
  if (isMikcarError(thrown)) return thrown;
  const status = (thrown as { status?: unknown }).status;
  if (status === 400) return new MikcarError("BAD_REQUEST", "the path cannot be decoded", { cause: thrown });
  return new MikcarError("INTERNAL_ERROR", String(thrown), { cause: thrown });
}
