/** HTTP servers before any request: where they listen, and what they say to what is no request. */

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { RequestListener, Server as HttpServer, ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { newTraceId } from "./call.ts";
import { badRequest, configError, errorBody, type MikcarError, timeout } from "./errors.ts";

/** Not imported: an import of node:http reads all its exports, WebSocket too, and so loads the whole fetch library. */
const { createServer } = process.getBuiltinModule("node:http");

const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000; // longer than the usual 60 s of load balancers, so that they close first

/** @param onContinue For requests whose client waits for `100 Continue`. @param maxHeaderSize Default: 16 KiB, Node's own. */
export function httpServer(
  timeoutMs: number,
  onRequest: RequestListener,
  onContinue: RequestListener,
  maxHeaderSize?: number,
): HttpServer {
  const server = createServer({
    maxHeaderSize,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, timeoutMs),
    connectionsCheckingInterval: Math.min(1000, timeoutMs),
    requireHostHeader: false, // Node would answer without a body; the dispatcher asks for it
    requestTimeout: 0, // ours counts from the last progress, so that a large upload may take its time
  });
  server.on("request", onRequest);
  server.on("checkContinue", onContinue);
  server.on("checkExpectation", onRequest); // one that we do not know asks nothing of us: RFC 9110, 10.1.1
  server.on("clientError", refuseRaw);
  server.on("connect", (_request, socket: Socket) => refuseRaw(new Error("CONNECT"), socket));
  return server;
}

/** Answers what was no HTTP request, or came too slowly, in JSON as everything else. */
function refuseRaw(error: NodeJS.ErrnoException, socket: Socket): void {
  // Node keeps the answer under way on its socket. Nothing may be written into the middle of it, or in its stead.
  const answer = (socket as { _httpMessage?: ServerResponse | null })._httpMessage;
  const isAnswering = answer != null && (answer.headersSent || answer.req.complete);
  if (isAnswering || !socket.writable || socket.destroyed || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const body = errorBody(rawError(error));
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${body.status} ${body.code}\r\nX-Trace-Id: ${newTraceId()}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}

function rawError({ code, message }: NodeJS.ErrnoException): MikcarError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return timeout("the request headers did not arrive in time");
  if (code === "HPE_HEADER_OVERFLOW") return badRequest("the request headers are larger than 16 KiB");
  if (message === "CONNECT") return badRequest("this is no proxy; CONNECT is not supported");
  return badRequest("this is not a valid HTTP/1.1 request");
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** @throws CONFIG_ERROR saying what is wrong with the address and what to do. */
export async function listenTcp(server: HttpServer, host: string, port: number): Promise<void> {
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

/**
 * Takes over a socket file that nobody listens on; mode 0600 without a token, else 0660.
 * @param isHeld Another worker listens there, and this one joins it.
 */
export async function listenSocket(
  server: HttpServer,
  path: string,
  { isOpen, isHeld = false }: { readonly isOpen: boolean; readonly isHeld?: boolean },
): Promise<void> {
  const stats = isHeld ? undefined : lstatSync(path, { throwIfNoEntry: false });
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

/** Undefined for a Unix socket. */
export function tcpUrl(server: HttpServer): string | undefined {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === "string") return undefined;
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
