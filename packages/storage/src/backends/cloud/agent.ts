/** Connections to a store: kept, of a bounded number, and none waits for ever. */

import http from "node:http";
import https from "node:https";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
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
  // Node tells that a connection has been idle for `timeout`; it is for others to end it.
  agent.createConnection = (target, callback) => {
    const socket = connect(target, callback) as Socket | undefined; // it makes no other stream
    socket?.on("timeout", () => {
      // Node pauses it while there are bytes for a reader who does not take them: it is not the server then who is slow.
      if (!socket.isPaused()) socket.destroy(idle(idleMs));
    });
    return socket;
  };
  return agent;
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
  return Object.assign(new Error(`no bytes came for ${ms} ms`), { code: "EIDLE" });
}
