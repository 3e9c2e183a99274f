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
    if (socket instanceof Socket) timeouts.set(socket, idleMs);
    return socket;
  };
  return agent;
}

/** Of our connections, in milliseconds. */
const timeouts = new WeakMap<Socket, number>();
let isSubscribed = false;

/**
 * While an answer comes it is its reader who may be slow, and `bodyOf` looks after the server. Client libraries hide the
 * connection, so Node tells: https://nodejs.org/api/diagnostics_channel.html#http
 */
function letReadersBeSlow(): void {
  if (isSubscribed) return;
  isSubscribed = true;
  subscribe("http.client.response.finish", (message) => {
    const { response } = message as { readonly response: http.IncomingMessage };
    const { socket } = response;
    const idleMs = timeouts.get(socket);
    if (idleMs === undefined) return;
    socket.setTimeout(0);
    response.once("end", () => void socket.setTimeout(idleMs));
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

/** With a code that no client library takes for a reason to wait as long again. */
function idle(ms: number): Error {
  return Object.assign(new Error(`nothing came for ${ms} ms`), { code: "EIDLE" });
}
