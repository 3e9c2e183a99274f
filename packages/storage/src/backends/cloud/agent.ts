/** Connections to a store: kept, of a bounded number, and none waits for ever. */

import { subscribe } from "node:diagnostics_channel";
import http from "node:http";
import https from "node:https";
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { type ConfigUrl, configError } from "@mikcar/core";

export interface AgentOptions {
  /** How long a connection may take to open, and may then stay without a byte. */
  readonly idleMs: number;
  /** PEM, beside none other; absent: what Node trusts. */
  readonly ca?: string;
}

/** A body under way holds one; a sidecar of many slow readers needs as many. */
const MAX_SOCKETS = 256;

export function agentFor(isTls: boolean, { idleMs, ca }: AgentOptions): http.Agent | https.Agent {
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: idleMs };
  const agent = isTls ? new https.Agent({ ...options, ...(ca === undefined ? {} : { ca }) }) : new http.Agent(options);
  const connect = agent.createConnection.bind(agent);
  letReadersBeSlow();
  // Node tells that a connection has been idle for `timeout`; it is for others to end it.
  agent.createConnection = (target, callback) => {
    const socket = connect(target, callback);
    socket?.once("timeout", () => void socket.destroy(idle(idleMs)));
    if (socket instanceof Socket) ours.add(socket);
    return socket;
  };
  return agent;
}

/** Connections whose timeout is ours. */
const ours = new WeakSet<Socket>();
let isSubscribed = false;

/**
 * Once an answer has begun it is the reader who may be slow, and `bodyOf` who watches. The agent sets the timeout anew with
 * the next request. https://nodejs.org/api/diagnostics_channel.html#http
 */
function letReadersBeSlow(): void {
  if (isSubscribed) return;
  isSubscribed = true;
  subscribe("http.client.response.finish", (message) => {
    const { socket } = (message as { readonly response: http.IncomingMessage }).response;
    if (ours.has(socket)) socket.setTimeout(0);
  });
}

/** The file that the parameter `ca` names. @throws CONFIG_ERROR */
export function readPem(url: ConfigUrl): string | undefined {
  const path = url.string("ca", "");
  if (path === "") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "ca": the file "${path}" cannot be read`, { cause });
  }
}

/** From here on it is the reader of an answer who may be slow: `bodyOf` looks after the server. */
export function leaveToReader(response: http.IncomingMessage): void {
  const { socket } = response;
  const idleMs = socket.timeout ?? 0;
  socket.setTimeout(0);
  response.once("end", () => void socket.setTimeout(idleMs));
}

/** With a code that no client library takes for a reason to wait as long again. */
function idle(ms: number): Error {
  return Object.assign(new Error(`nothing came for ${ms} ms`), { code: "EIDLE" });
}
