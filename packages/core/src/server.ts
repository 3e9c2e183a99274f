/** One HTTP server for any number of sidecars: our dispatcher in front, Express for the rest, and an orderly end. */

import type { Server as HttpServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Callers } from "./callers.ts";
import { DEFAULTS, Dispatcher, type Miss, noRoute } from "./dispatch.ts";
import { configError } from "./errors.ts";
import { createFallback, fallbackError, type Middleware } from "./express.ts";
import { httpServer, isLoopback, listenSocket, listenTcp, tcpUrl } from "./listen.ts";
import { Readiness } from "./health.ts";
import { createLog, type Log } from "./log.ts";
import { type Gauge, Metrics } from "./metrics.ts";
import type { Sample } from "./metrics-text.ts";
import type { Reply } from "./routes.ts";
import type { Sidecar } from "./service.ts";
import { ownRoutes } from "./own.ts";
import type { Tracing } from "./tracing.ts";
import { VERSION } from "./version.ts";

/** After the drain time: how long the cut-off calls have to send their last answer, and to clean up. */
const GRACE_MS = 500;

/** A server that listens. */
export interface Server {
  /** `http://127.0.0.1:3001`, or undefined when it listens on a Unix socket only. */
  readonly url: string | undefined;
  /** Another token that opens everything, from the next call on. @throws CONFIG_ERROR for an empty one. */
  setAuthToken(token: string): void;
  /** Other tokens with scopes, from the next call on. @throws CONFIG_ERROR, and changes nothing, as `tokens` of the builder. */
  setTokens(json: string): void;
  /** What `/metrics` tells of this process alone, for whoever puts several together. */
  samples(): Promise<readonly Sample[]>;
  /** Stops accepting, lets open calls end within the drain time, then closes every backend. Safe to call twice. */
  close(): Promise<void>;
}

interface Settings {
  port: number | undefined;
  host: string;
  socketPath: string | undefined;
  authToken: string | undefined;
  tokens: string | undefined;
  noAuth: boolean;
  timeoutMs: number;
  maxBodyBytes: number;
  maxObjectBytes: number;
  drainMs: number;
  corsOrigins: readonly string[];
  publicUrl: string | undefined;
  metricsPublic: boolean;
  gather: (() => Promise<readonly (readonly Sample[])[]>) | undefined;
  tracesUrl: string | undefined;
  log: Log | undefined;
}

/** Collects sidecars and settings; every setter returns the builder. */
export class SidecarBuilder {
  readonly #sidecars: Sidecar[] = [];
  readonly #middleware: Middleware[] = [];
  readonly #settings: Settings = {
    ...DEFAULTS,
    port: undefined,
    host: "127.0.0.1",
    socketPath: undefined,
    authToken: undefined,
    tokens: undefined,
    noAuth: false,
    corsOrigins: [],
    publicUrl: undefined,
    metricsPublic: false,
    gather: undefined,
    tracesUrl: undefined,
    log: undefined,
  };

  /** Default 3001, unless there is a socket; 0 takes a free one. */
  port(port: number): this {
    return this.#set({ port });
  }

  /** Default 127.0.0.1. Any address that is not loopback needs a token, or `noAuth()`. */
  host(host: string): this {
    return this.#set({ host });
  }

  /** A Unix socket to listen on: instead of TCP, or beside it when a port is set as well. */
  socket(path: string): this {
    return this.#set({ socketPath: path });
  }

  /** Undefined or empty: no token, so loopback only. */
  authToken(token: string | undefined): this {
    return this.#set({ authToken: token || undefined });
  }

  /** Tokens with scopes: the JSON that `SIDECAR_TOKENS` holds. Undefined or empty: none. @throws CONFIG_ERROR from `serve`. */
  tokens(json: string | undefined): this {
    return this.#set({ tokens: json || undefined });
  }

  /** Answers everybody who reaches the address. */
  noAuth(): this {
    return this.#set({ noAuth: true });
  }

  /** Default 30 000. A stream that makes progress may take longer. */
  timeoutMs(milliseconds: number): this {
    return this.#set({ timeoutMs: milliseconds });
  }

  /** Default 10 MiB; for bodies that are read whole. */
  maxBodyBytes(bytes: number): this {
    return this.#set({ maxBodyBytes: bytes });
  }

  /** Default 5 GiB; for bodies that are streamed. */
  maxObjectBytes(bytes: number): this {
    return this.#set({ maxObjectBytes: bytes });
  }

  /** How long `close()` lets open calls go on. Default 10 000. */
  drainMs(milliseconds: number): this {
    return this.#set({ drainMs: milliseconds });
  }

  /** Origins whose pages may call, as browsers send them (`https://app.example.com`), or `*`. Default none. */
  corsOrigins(origins: readonly string[]): this {
    return this.#set({ corsOrigins: origins });
  }

  /** Where signed URLs point when the sidecar stands behind a proxy: `https://files.example.com`. */
  publicUrl(url: string): this {
    return this.#set({ publicUrl: url.replace(/\/$/, "") });
  }

  /** Anybody may read `/metrics`, without a token. */
  metricsPublic(): this {
    return this.#set({ metricsPublic: true });
  }

  /** What `/metrics` tells instead of this process's own: the `samples()` of each server that it stands for. */
  gatherMetrics(gather: () => Promise<readonly (readonly Sample[])[]>): this {
    return this.#set({ gather });
  }

  /** Writes OTLP traces to this URL, `/v1/traces` included; other `OTEL_*` variables count too. Default: none. */
  traces(url: string | undefined): this {
    return this.#set({ tracesUrl: url });
  }

  /** Default: `info` on standard output. */
  log(log: Log): this {
    return this.#set({ log });
  }

  /** Mounted at `/<name>`. The server closes it. @throws CONFIG_ERROR when the name is taken. */
  add(sidecar: Sidecar): this {
    if (this.#sidecars.some(({ name }) => name === sidecar.name)) {
      throw configError(`two sidecars are named "${sidecar.name}"; a name is a mount point and must be unique`);
    }
    this.#sidecars.push(sidecar);
    return this;
  }

  /** Express middleware for paths that no sidecar serves; the token is asked for before it. */
  use(middleware: Middleware): this {
    this.#middleware.push(middleware);
    return this;
  }

  /** Resolves once it listens. @throws CONFIG_ERROR when the address cannot be used; the sidecars stay open then. */
  async serve(): Promise<Server> {
    const settings = this.#settings;
    const { authToken, tokens, noAuth, host } = settings;
    const callers = noAuth ? new Callers(undefined) : new Callers(authToken, tokens);
    const isOpen = callers.anybody !== undefined;
    const isLocal = isLoopback(host);
    if (isOpen && !isLocal && !noAuth) {
      throw configError(
        `without a token only loopback is safe, and the host is "${host}"; set a token (--auth-token or SIDECAR_TOKEN), or say --no-auth`,
      );
    }
    const log = settings.log ?? (await createLog());
    if (isOpen && !isLocal)
      log.warn({ host }, "anyone who reaches this address can read and write everything: no token is set");
    const metrics = new Metrics();
    const tracing = await startTracing(settings.tracesUrl, this.#sidecars);
    const shared = { ...settings, callers, log, sameOriginOnly: isOpen, metrics, tracing };
    const readiness = new Readiness(this.#sidecars, log);
    const samples = async (): Promise<Sample[]> => {
      const { processSamples } = await import("./metrics-text.ts");
      return [...(await metrics.samples()), ...(await processSamples())];
    };
    const ownParts = {
      sidecars: this.#sidecars,
      version: VERSION,
      readiness,
      samples: settings.gather ?? (async () => [await samples()]),
    };
    const own = { prefix: "", sidecar: { routes: ownRoutes(ownParts) } };
    const mounts = [
      own,
      ...this.#sidecars.map((sidecar) => ({ prefix: `/${sidecar.name}`, sidecar, service: sidecar.name })),
    ];
    const miss = missHandler(this.#middleware);
    const listen = async (isSocket: boolean): Promise<Listener> => {
      const dispatcher = new Dispatcher(mounts, { ...shared, loopbackHostOnly: isOpen && isLocal && !isSocket });
      const server = httpServer(
        settings.timeoutMs,
        (request, response) => dispatcher.handle(request, response, miss),
        (request, response) => dispatcher.handle(request, response, miss, true),
      );
      if (isSocket) await listenSocket(server, settings.socketPath ?? "", isOpen);
      else await listenTcp(server, host, settings.port ?? 3001);
      return { server, dispatcher };
    };

    const listeners: Listener[] = [];
    metrics.watch(() => serverGauges(listeners.reduce((sum, { dispatcher }) => sum + dispatcher.openCalls, 0)));
    metrics.watch(() => readiness.gauges());
    for (const sidecar of this.#sidecars) metrics.watch(() => sidecar.gauges?.() ?? []);
    if (settings.socketPath !== undefined) listeners.push(await listen(true));
    if (settings.socketPath === undefined || settings.port !== undefined) {
      try {
        listeners.push(await listen(false));
      } catch (error) {
        await Promise.all(listeners.map((listener) => shut(listener, 0)));
        throw error;
      }
    }
    const close = async (): Promise<void> => {
      await Promise.all(listeners.map((listener) => shut(listener, settings.drainMs)));
      await Promise.all(this.#sidecars.map((sidecar) => sidecar.close()));
      await tracing?.close();
    };
    return runningServer(listeners, close, callers, samples);
  }

  #set(settings: Partial<Settings>): this {
    Object.assign(this.#settings, settings);
    return this;
  }
}

interface Listener {
  readonly server: HttpServer;
  readonly dispatcher: Dispatcher;
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

function serverGauges(openCalls: number): Gauge[] {
  return [
    {
      name: "http_server_active_requests",
      help: "Requests under way, long polls and streams among them.",
      value: openCalls,
    },
    {
      name: "mikcar_build_info",
      help: "Always 1; the version is in its label.",
      labels: { version: VERSION },
      value: 1,
    },
  ];
}

/** Hands a call to Express, and turns what comes back unanswered into an error of ours. */
function missHandler(middleware: readonly Middleware[]): Miss {
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

function runningServer(
  listeners: readonly Listener[],
  close: () => Promise<void>,
  callers: Callers,
  samples: () => Promise<readonly Sample[]>,
): Server {
  let closing: Promise<void> | undefined;
  return {
    url: listeners.map(({ server }) => tcpUrl(server)).find((url) => url !== undefined),
    setAuthToken: (token) => {
      if (token === "") throw configError("an empty token would open everything to everybody; give one");
      callers.setToken(token);
    },
    setTokens: (json) => callers.setTokens(json),
    samples,
    close: () => (closing ??= close()),
  };
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
