/** The URL of a RabbitMQ, as `amqplib` wants to hear it. */

import { readFileSync } from "node:fs";
import { type ConfigUrl, configError } from "@mikcar/core";
import type { Options } from "amqplib";

export interface AmqpConfig {
  readonly connect: Options.Connect;
  readonly ca: string | undefined;
  /** For messages in the log. */
  readonly address: string;
  /** How long a call may take, and a connection until it is made. */
  readonly timeoutMs: number;
}

/**
 * `amqp://[user[:password]@]host[:5672][/vhost]`, `amqps:` with TLS on 5671. No user: guest. No virtual host: `/`.
 * `timeout_ms` (5000); `ca`: a PEM file of whom to trust beside no one else. @throws CONFIG_ERROR naming the part.
 */
export function readAmqpUrl(url: ConfigUrl): AmqpConfig {
  const isTls = url.scheme === "amqps";
  if (url.host === "") throw configError(`${url.scheme}: the host is missing; write ${url.scheme}://localhost`);
  const timeoutMs = url.integer("timeout_ms", 5000, { min: 1, max: 600_000 });
  const ca = isTls ? url.string("ca", "") : "";
  const hostname = url.host.replace(/^\[(.*)\]$/, "$1");
  const port = url.port ?? (isTls ? 5671 : 5672);
  const { username = "guest", password = "guest" } = url.credentials ?? {};
  const connect: Options.Connect = {
    protocol: url.scheme,
    hostname,
    port,
    username,
    password,
    vhost: encodeURIComponent(url.path.replace(/^\//, "") || "/"), // it decodes once more
    heartbeat: Math.min(60, Math.max(2, Math.ceil(timeoutMs / 1000))), // s
  };
  return { connect, ca: ca === "" ? undefined : readFile(ca), address: `${hostname}:${port}`, timeoutMs };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "ca": the file "${path}" cannot be read`, { cause });
  }
}
