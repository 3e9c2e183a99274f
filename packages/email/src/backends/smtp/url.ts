/** The URL of a mail server. */

import { readFileSync } from "node:fs";
import { type ConfigUrl, configError, type Warn } from "@mikcar/core";

export interface SmtpConfig {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte on. */
  readonly isTls: boolean;
  /** TLS after a greeting in the clear; without it nothing is sent. */
  readonly startsTls: boolean;
  readonly login: { readonly user: string; readonly pass: string } | undefined;
  /** PEM of whom to trust beside no one else. */
  readonly ca: string | undefined;
  /** Until a connection is ready, and then until each reply. */
  readonly timeoutMs: number;
  readonly connections: number;
  /** How this side introduces itself; undefined: by the name of its machine. */
  readonly name: string | undefined;
}

/** Where mail servers, and those of tests, take mail in the clear. */
const PLAIN_PORTS = [25, 1025, 2525];
const NAME = /^[\w.:[\]-]{1,255}$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

/**
 * `smtp://[user:password@]host[:587]`: STARTTLS is required, but ports 25, 1025 and 2525 are plain; `starttls=true` or `false`
 * says otherwise. `smtps://[user:password@]host[:465]`: TLS at once. `ca`: a PEM file of whom to trust beside no one else;
 * `timeout_ms` (10 000); `connections` (5): at most so many at once; `name`: for EHLO. @throws CONFIG_ERROR naming the part.
 */
export function readSmtpUrl(url: ConfigUrl, warn?: Warn): SmtpConfig {
  const { scheme, credentials } = url;
  const isTls = scheme === "smtps";
  const host = url.host.replace(/^\[(.*)\]$/, "$1");
  if (host === "") throw configError(`${scheme}: the host is missing; write ${scheme}://mail.example.org`);
  const port = url.port ?? (isTls ? 465 : 587);
  if (port < 1 || port > 65_535) throw configError(`${scheme}: the port is ${port}; expected one from 1 to 65535`);
  if (url.path !== "" && url.path !== "/") throw configError(`${scheme}: a path has no meaning here; leave it out`);
  const startsTls = !isTls && url.flag("starttls", !PLAIN_PORTS.includes(port));
  const login = credentials === undefined ? undefined : { user: credentials.username, pass: credentials.password };
  if (login !== undefined && (login.user === "" || login.pass === ""))
    throw configError(`${scheme}: a login has both, user:password@; write %3A for a colon in the user`);
  const ca = isTls || startsTls ? url.string("ca", "") : "";
  const name = url.string("name", "");
  if (name !== "" && !NAME.test(name)) throw configError('parameter "name": expected a host name');
  if (login !== undefined && !isTls && !startsTls && !LOOPBACK.test(host))
    warn?.(`the password for ${host}:${port} travels in the clear; add starttls=true where the server has it`);
  return {
    host,
    port,
    isTls,
    startsTls,
    login,
    ca: ca === "" ? undefined : readFile(ca),
    timeoutMs: url.integer("timeout_ms", 10_000, { min: 1, max: 600_000 }),
    connections: url.integer("connections", 5, { min: 1, max: 100 }),
    name: name === "" ? undefined : name,
  };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "ca": the file "${path}" cannot be read`, { cause });
  }
}
