/** The only place that reads a backend URL. */

import { configError } from "./errors.ts";

export interface Host {
  readonly host: string;
  readonly port: number | undefined;
}

export interface ConfigUrl extends Host {
  readonly scheme: string;
  /** Empty for a scheme whose URL names a file. */
  readonly host: string;
  /** All of them, for a scheme that has several: `h1:6379,h2`; else the one that `host` and `port` tell. */
  readonly hosts: readonly Host[];
  /** Percent-decoded, as are the credentials. For a file scheme everything after `//`, so `file://./data` is `./data`. */
  readonly path: string;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** Neither value nor fallback: CONFIG_ERROR. */
  string(param: string, fallback?: string): string;
  /** @throws CONFIG_ERROR when the value is no integer or lies outside `min` (0) and `max`. */
  integer(param: string, fallback: number, range?: { min?: number; max?: number }): number;
  /** `true`, `1`, an empty value: true; `false`, `0`: false; else CONFIG_ERROR. */
  flag(param: string, fallback?: boolean): boolean;
  /** @throws CONFIG_ERROR naming the first parameter that nobody has asked for, and those that were. */
  refuseUnread(): void;
  /** Password and secret parameters masked: safe to log. */
  toString(): string;
}

/** Schemes whose URL names a place in the file system and has no host. */
const FILE_SCHEMES = new Set(["file", "lmdb", "redb", "sqlite"]);
/** Schemes whose URL names several hosts. */
const CLUSTER_SCHEMES = new Set(["redis+cluster"]);
const SECRET_PARAM = /secret|token|pass|key|sig|credential/i;
const SHAPE = /^([a-z][a-z0-9+.-]*):(?:\/\/)?([^?#]*)(?:\?([^#]*))?$/i;
const AUTHORITY = /^(?:(.*)@)?([^@]*)$/;
const HOST = /^(\[[^\]]*\]|[^:/]*)(?::(\d+))?$/;

/**
 * Reads `scheme://[user:password@]host[:port]/path?param=value`.
 * The password may hold a literal `:`, `@` or `%`, or come percent-encoded; `new URL` is not used because it drops the host of a
 * file URL, keeps credentials encoded and refuses `sqlite://:memory:`.
 * @throws CONFIG_ERROR for text of another shape; the text itself is not repeated, as it may hold a password.
 */
export function configUrl(text: string): ConfigUrl {
  const shape = SHAPE.exec(text);
  if (shape === null) throw configError("not a URL; expected scheme://…");
  const scheme = (shape[1] ?? "").toLowerCase();
  const rest = shape[2] ?? "";
  const params = new URLSearchParams(shape[3] ?? "");
  return FILE_SCHEMES.has(scheme)
    ? new ParsedUrl(scheme, [], decode(rest), undefined, params)
    : networkUrl(scheme, rest, params);
}

function networkUrl(scheme: string, rest: string, params: URLSearchParams): ConfigUrl {
  const slash = rest.indexOf("/", rest.lastIndexOf("@") + 1);
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? "" : decode(rest.slice(slash));
  const [, userinfo, places = ""] = AUTHORITY.exec(authority) ?? [];
  const hosts = (CLUSTER_SCHEMES.has(scheme) ? places.split(",") : [places]).map((place) => readHost(scheme, place));
  return new ParsedUrl(scheme, hosts, path, login(userinfo), params);
}

function readHost(scheme: string, text: string): Host {
  const parts = HOST.exec(text);
  if (parts === null) throw configError(`${scheme}://…: the host and port cannot be read`);
  const [, host = "", port] = parts;
  return { host: decode(host), port: port === undefined ? undefined : Number(port) };
}

function login(userinfo: string | undefined): ConfigUrl["credentials"] {
  if (userinfo === undefined) return undefined;
  const colon = userinfo.indexOf(":");
  return colon === -1
    ? { username: decodeLogin(userinfo), password: "" }
    : { username: decodeLogin(userinfo.slice(0, colon)), password: decodeLogin(userinfo.slice(colon + 1)) };
}

/** A password is pasted as often as it is encoded: a `%` that begins no escape stands for itself. */
function decodeLogin(text: string): string {
  return text.replaceAll(/(?:%[\da-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes; // no UTF-8, so nobody has encoded anything
    }
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw configError("a % in the URL is not followed by two hexadecimal digits; write %25 for a literal %", { cause });
  }
}

/** A `file:` URL for a path of this machine, with `%`, `?` and `#` escaped. */
export function fileUrl(path: string): string {
  return `file://${path.replaceAll(/[%?#]/g, encodeURIComponent)}`;
}

class ParsedUrl implements ConfigUrl {
  readonly scheme: string;
  readonly hosts: readonly Host[];
  readonly path: string;
  readonly credentials: ConfigUrl["credentials"];
  readonly #params: URLSearchParams;
  readonly #asked = new Set<string>();

  constructor(
    scheme: string,
    hosts: readonly Host[],
    path: string,
    credentials: ConfigUrl["credentials"],
    params: URLSearchParams,
  ) {
    this.scheme = scheme;
    this.hosts = hosts;
    this.path = path;
    this.credentials = credentials;
    this.#params = params;
  }

  get host(): string {
    return this.hosts[0]?.host ?? "";
  }

  get port(): number | undefined {
    return this.hosts[0]?.port;
  }

  string(param: string, fallback?: string): string {
    const value = this.#read(param) ?? fallback;
    if (value === undefined) throw configError(`parameter "${param}" is missing`);
    return value;
  }

  integer(param: string, fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number {
    const text = this.#read(param);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw configError(`parameter "${param}" is "${text}"; expected an integer from ${min} to ${max}`);
  }

  flag(param: string, fallback = false): boolean {
    const text = this.#read(param);
    if (text === undefined) return fallback;
    if (text === "" || text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    throw configError(`parameter "${param}" is "${text}"; expected true or false`);
  }

  refuseUnread(): void {
    const unknown = [...this.#params.keys()].find((name) => !this.#asked.has(name));
    if (unknown === undefined) return;
    const known = [...this.#asked].sort().join(", ") || "none";
    throw configError(`unknown parameter "${unknown}"; known for ${this.scheme}: ${known}`);
  }

  toString(): string {
    const user = this.credentials === undefined ? "" : `${this.credentials.username}:***@`;
    const hosts = this.hosts.map(({ host, port }) => (port === undefined ? host : `${host}:${port}`)).join(",");
    const params = [...this.#params].map(([name, value]) => `${name}=${SECRET_PARAM.test(name) ? "***" : value}`);
    const query = params.length === 0 ? "" : `?${params.join("&")}`;
    return `${this.scheme}://${user}${hosts}${this.path}${query}`;
  }

  #read(param: string): string | undefined {
    this.#asked.add(param);
    return this.#params.get(param) ?? undefined;
  }
}
