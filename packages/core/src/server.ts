/** One HTTP server for any number of sidecars: our dispatcher in front, Express for the rest, and an orderly end. */

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { DEFAULTS, Dispatcher, type Miss } from "./dispatch.ts";
import { badRequest, configError, errorBody, type MikcarError, timeout } from "./errors.ts";
import { createFallback, fallbackError, type Middleware } from "./express.ts";
import { createLog, type Log } from "./log.ts";
import type { Reply } from "./routes.ts";
import type { Sidecar } from "./service.ts";
import { UrlSigner } from "./signing.ts";
import { VERSION } from "./version.ts";

/** Not imported: an import of node:http reads all its exports, WebSocket too, and so loads the whole fetch library. */
const { createServer } = process.getBuiltinModule("node:http");

const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000; // longer than the usual 60 s of load balancers, so that they close first

/** A server that listens. */
export interface Server {
  /** `http://127.0.0.1:3001`, or undefined when it listens on a Unix socket only. */
  readonly url: string | undefined;
  /** Stops accepting, lets open calls end within the drain time, then closes every backend. Safe to call twice. */
  close(): Promise<void>;
}

interface Settings {
  port: number | undefined;
  host: string;
  socketPath: string | undefined;
  authToken: string | undefined;
  noAuth: boolean;
  timeoutMs: number;
  maxBodyBytes: number;
  maxObjectBytes: number;
  drainMs: number;
  corsOrigins: readonly string[];
  publicUrl: string | undefined;
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
    noAuth: false,
    corsOrigins: [],
    publicUrl: undefined,
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
    const { authToken, noAuth, host } = settings;
    const token = noAuth ? undefined : authToken;
    const isOpen = token === undefined;
    const isLocal = isLoopback(host);
    if (isOpen && !isLocal && !noAuth) {
      throw configError(
        `without a token only loopback is safe, and the host is "${host}"; set a token (--auth-token or SIDECAR_TOKEN), or say --no-auth`,
      );
    }
    const log = settings.log ?? (await createLog());
    if (isOpen && !isLocal)
      log.warn({ host }, "anyone who reaches this address can read and write everything: no token is set");
    const shared = { ...settings, authToken: token, signer: new UrlSigner(token), log, sameOriginOnly: isOpen };
    const mounts = this.#sidecars.map((sidecar) => ({ prefix: `/${sidecar.name}`, sidecar }));
    const miss = missHandler(this.#sidecars, this.#middleware);
    const listen = async (isSocket: boolean): Promise<Listener> => {
      const dispatcher = new Dispatcher(mounts, { ...shared, loopbackHostOnly: isOpen && isLocal && !isSocket });
      const server = httpServer(dispatcher, miss);
      await (isSocket ? listenSocket(server, settings.socketPath ?? "", isOpen) : listenTcp(server, settings));
      return { server, dispatcher };
    };

    const listeners: Listener[] = [];
    if (settings.socketPath !== undefined) listeners.push(await listen(true));
    if (settings.socketPath === undefined || settings.port !== undefined) {
      try {
        listeners.push(await listen(false));
      } catch (error) {
        await Promise.all(listeners.map((listener) => shut(listener, 0)));
        throw error;
      }
    }
    return runningServer(listeners, this.#sidecars, settings.drainMs);
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

/** Hands a call to Express, and turns what comes back unanswered into an error of ours. */
function missHandler(sidecars: readonly Sidecar[], middleware: readonly Middleware[]): Miss {
  let fallback: Promise<Middleware> | undefined;
  return async (call, headers) => {
    const { request, response } = call;
    const app = await (fallback ??= createFallback(sidecars, middleware, VERSION));
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

function httpServer(dispatcher: Dispatcher, miss: Miss): HttpServer {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
  });
  const handle = (request: IncomingMessage, response: ServerResponse): void =>
    dispatcher.handle(request, response, miss);
  server.on("request", handle);
  server.on("checkContinue", (request, response) => dispatcher.handle(request, response, miss, true));
  server.on("checkExpectation", handle); // one that we do not know asks nothing of us: RFC 9110, 10.1.1
  server.on("clientError", refuseRaw);
  server.on("connect", (_request, socket: Socket) => refuseRaw(new Error("CONNECT"), socket));
  return server;
}

/** Answers what was no HTTP request, or came too slowly, in JSON as everything else. */
function refuseRaw(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.destroyed || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const body = errorBody(rawError(error));
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${body.status} ${body.code}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}

function rawError({ code, message }: NodeJS.ErrnoException): MikcarError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return timeout("the request headers did not arrive in time");
  if (code === "HPE_HEADER_OVERFLOW") return badRequest("the request headers are larger than 16 KiB");
  if (message === "CONNECT") return badRequest("this is no proxy; CONNECT is not supported");
  return badRequest("this is not a valid HTTP/1.1 request");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

async function listenTcp(server: HttpServer, { host, port = 3001 }: Settings): Promise<void> {
  try {
    await listening(server, () => server.listen({ host, port }));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reasons: Record<string, string> = {
      EADDRINUSE: `port ${port} on ${host} is already in use; stop the other program, or choose another port with --port`,
      EACCES: `port ${port} needs rights this process does not have; choose one above 1023 with --port`,
      EADDRNOTAVAIL: `"${host}" is no address of this machine; set --host to one that is`,
      ENOTFOUND: `the host "${host}" cannot be resolved; set --host to an address of this machine`,
    };
    throw configError(reasons[code ?? ""] ?? `cannot listen on ${host}:${port} (${code})`, { cause });
  }
}

/** Takes over a socket file that nobody listens on; mode 0600 without a token, else 0660. */
async function listenSocket(server: HttpServer, path: string, isOpen: boolean): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isSocket() === false)
    throw configError(`${path} is there and is no socket; remove it or choose another path with --socket`);
  if (stats !== undefined) {
    if (await isAlive(path)) throw configError(`another program listens on ${path}; choose another path with --socket`);
    unlinkSync(path);
  }
  try {
    await listening(server, () => server.listen(path));
    chmodSync(path, isOpen ? 0o600 : 0o660);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw configError(`cannot listen on ${path} (${code}); the folder must exist and be writable`, { cause });
  }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") resolve(false);
      else
        reject(
          configError(`${path} is there and is no socket to replace (${error.code}); remove it or choose another path`),
        );
    });
  });
}

function listening(server: HttpServer, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    start();
  });
}

function runningServer(listeners: readonly Listener[], sidecars: readonly Sidecar[], drainMs: number): Server {
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => shut(listener, drainMs)));
    await Promise.all(sidecars.map((sidecar) => sidecar.close()));
  };
  return {
    url: listeners.map(({ server }) => tcpUrl(server)).find((url) => url !== undefined),
    close: () => (closing ??= end()),
  };
}

function tcpUrl(server: HttpServer): string | undefined {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === "string") return undefined;
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

async function shut({ server, dispatcher }: Listener, drainMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, drainMs);
  await Promise.race([dispatcher.drain(), late.promise]);
  clearTimeout(timer);
  dispatcher.stop();
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), 500);
  await closed;
  clearTimeout(grace);
}
