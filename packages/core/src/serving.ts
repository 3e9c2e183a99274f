/** From sidecars and settings to a server that listens, and to its orderly end. */

import type { Server as HttpServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Callers } from "./callers.ts";
import { Dispatcher, type DispatcherOptions, type Miss, type Mount } from "./dispatch.ts";
import { configError } from "./errors.ts";
import { type Middleware, missHandler } from "./express.ts";
import { Readiness } from "./health.ts";
import { httpServer, isLoopback, listenSocket, listenTcp, tcpUrl } from "./listen.ts";
import { createLog, type Log } from "./log.ts";
import { type Gauge, Metrics } from "./metrics.ts";
import type { Sample } from "./metrics-text.ts";
import { ownRoutes } from "./own.ts";
import type { Server, ServerSettings } from "./server.ts";
import type { Sidecar } from "./service.ts";
import type { Tracing } from "./tracing.ts";
import { VERSION } from "./version.ts";

/** After the drain time: how long the cut-off calls have to send their last answer, and to clean up. */
const GRACE_MS = 500;
/** Between workers: what a client may send, and what is added on the way. */
const INNER_HEADER_BYTES = 32_768;

interface Listener {
  readonly server: HttpServer;
  readonly dispatcher: Dispatcher;
}

/** @throws CONFIG_ERROR when the address cannot be used, or is not safe; the sidecars stay open then. */
export async function serve(
  settings: ServerSettings,
  sidecars: readonly Sidecar[],
  middleware: readonly Middleware[],
): Promise<Server> {
  const { host, socketPath, worker } = settings;
  const callers = callersOf(settings, worker);
  const isOpen = callers.anybody !== undefined;
  const isLocal = isLoopback(host);
  const log = settings.log ?? (await createLog());
  refuseUnsafe(settings);
  if (isOpen && !isLocal)
    log.warn({ host }, "anyone who reaches this address can read and write everything: no token is set");

  const metrics = new Metrics();
  const tracing = await startTracing(settings.tracesUrl, sidecars);
  const samples = samplesOf(metrics);
  const readiness = new Readiness(sidecars, log);
  const options = { ...settings, log, tracing, callers, metrics, sameOriginOnly: isOpen };
  const gather = settings.gather ?? (async () => [await samples()]);
  const mounts = mountsOf(sidecars, ownRoutes({ sidecars, version: VERSION, readiness, samples: gather }));
  const miss = missHandler(middleware);

  const listeners: Listener[] = [];
  metrics.watch(() => serverGauges(listeners.reduce((sum, { dispatcher }) => sum + dispatcher.openCalls, 0)));
  metrics.watch(() => readiness.gauges());
  for (const sidecar of sidecars) metrics.watch(() => sidecar.gauges?.() ?? []);
  const inner =
    worker === undefined ? undefined : innerListener(settings, sidecars, { ...options, metrics: undefined });
  try {
    if (inner !== undefined) await listenSocket(inner.listener.server, worker?.socketPath ?? "", { isOpen: true });
    if (socketPath !== undefined) {
      const listener = listenerOf(mounts, { ...options, loopbackHostOnly: false }, miss);
      await listenSocket(listener.server, socketPath, { isOpen, isHeld: worker?.isFirst === false });
      listeners.push(listener);
    }
    if (socketPath === undefined || settings.port !== undefined) {
      const listener = listenerOf(mounts, { ...options, loopbackHostOnly: isOpen && isLocal }, miss);
      await listenTcp(listener.server, host, settings.port ?? 3001);
      listeners.push(listener);
    }
  } catch (error) {
    await Promise.all([...listeners, ...(inner === undefined ? [] : [inner.listener])].map((one) => shut(one, 0)));
    throw error;
  }

  const drain = once(async () => {
    void inner?.listener.dispatcher.drain(); // ends what waits there; the other workers may still come
    await Promise.all(listeners.map((listener) => shut(listener, settings.drainMs)));
  });
  const close = once(async () => {
    await drain();
    if (inner !== undefined) await shut(inner.listener, settings.drainMs);
    await Promise.all(sidecars.map((sidecar) => sidecar.close()));
    await tracing?.close();
  });
  const everyone = inner === undefined ? [callers] : [callers, inner.callers];
  return {
    url: listeners.map(({ server }) => tcpUrl(server)).find((url) => url !== undefined),
    setAuthToken: (token) => {
      if (token === "") throw configError("an empty token would open everything to everybody; give one");
      for (const one of everyone) one.setToken(token);
    },
    setTokens: (json) => {
      for (const one of everyone) one.setTokens(json);
    },
    samples,
    drain,
    close,
  };
}

/** @throws CONFIG_ERROR when everybody could reach the server, and nobody has asked for that. */
export function refuseUnsafe({
  noAuth,
  host,
  authToken,
  tokens,
}: Pick<ServerSettings, "noAuth" | "host" | "authToken" | "tokens">): void {
  if (noAuth || authToken !== undefined || tokens !== undefined || isLoopback(host)) return;
  throw configError(
    `without a token only loopback is safe, and the host is "${host}"; set a token (--auth-token or SIDECAR_TOKEN), or say --no-auth`,
  );
}

function callersOf(
  { noAuth, authToken, tokens }: ServerSettings,
  options: { readonly share?: number; readonly signingKey?: string } = {},
): Callers {
  return noAuth ? new Callers(undefined, undefined, options) : new Callers(authToken, tokens, options);
}

function mountsOf(sidecars: readonly Sidecar[], own: ReturnType<typeof ownRoutes>): Mount[] {
  return [
    { prefix: "", sidecar: { routes: own } },
    ...sidecars.map((sidecar) => ({ prefix: `/${sidecar.name}`, sidecar, service: sidecar.name })),
  ];
}

function listenerOf(
  mounts: readonly Mount[],
  options: DispatcherOptions & ServerSettings,
  miss: Miss,
  maxHeaderSize?: number,
): Listener {
  const dispatcher = new Dispatcher(mounts, options);
  const server = httpServer(
    options.timeoutMs,
    (request, response) => dispatcher.handle(request, response, miss),
    (request, response) => dispatcher.handle(request, response, miss, true),
    maxHeaderSize,
  );
  return { server, dispatcher };
}

/** For the other workers: what this one alone has open. They have looked at the address, and count against the limits. */
function innerListener(
  settings: ServerSettings,
  sidecars: readonly Sidecar[],
  options: Omit<DispatcherOptions, "loopbackHostOnly"> & ServerSettings & { readonly log: Log },
): { listener: Listener; callers: Callers } {
  const callers = callersOf(settings, { ...settings.worker, share: 0 });
  const owned = sidecars.filter(({ name }) => settings.worker?.owned.includes(name));
  const own = ownRoutes({
    sidecars: owned,
    version: VERSION,
    readiness: new Readiness(owned, options.log),
    samples: async () => [],
  });
  const inside = { ...options, callers, corsOrigins: [], loopbackHostOnly: false, sameOriginOnly: false };
  const mounts = mountsOf(owned, own);
  const listener = listenerOf(mounts, { ...inside, readyPublic: true }, missHandler([]), INNER_HEADER_BYTES);
  return { listener, callers };
}

/** @returns Undefined, and has loaded nothing, without a URL. */
async function startTracing(url: string | undefined, sidecars: readonly Sidecar[]): Promise<Tracing | undefined> {
  if (url === undefined) return undefined;
  const { Tracing } = await import("./tracing.ts");
  const tracing = new Tracing(url, process.env);
  for (const sidecar of sidecars) {
    sidecar.observe?.((backend) => tracing.around(backend, sidecar.name, sidecar.backend));
  }
  return tracing;
}

function samplesOf(metrics: Metrics): () => Promise<Sample[]> {
  return async () => {
    const { processSamples } = await import("./metrics-text.ts");
    return [...(await metrics.samples()), ...(await processSamples())];
  };
}

function serverGauges(openCalls: number): Gauge[] {
  const active = "Requests under way, long polls and streams among them.";
  const build = "Always 1; the version is in its label.";
  return [
    { name: "http_server_active_requests", help: active, value: openCalls },
    { name: "mikcar_build_info", help: build, labels: { version: VERSION }, value: 1 },
  ];
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

async function shut({ server, dispatcher }: Listener, drainMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, drainMs);
  await Promise.race([dispatcher.drain(), late.promise]);
  clearTimeout(timer);
  dispatcher.stop();
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(grace);
  await Promise.race([dispatcher.drain(), sleep(GRACE_MS, undefined, { ref: false })]); // to clean up behind an upload, say
}
