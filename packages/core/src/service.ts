/** What every service is made of: a definition, and the sidecar it becomes once its backend is open. */

import { resolve } from "node:path";
import { type ConfigUrl, configUrl } from "./config-url.ts";
import { configError, isMikcarError, type MikcarError } from "./errors.ts";
import type { Gauge } from "./metrics.ts";
import type { Call, Method, Reply, Routes, Spec } from "./routes.ts";
import { type Env, readSecret } from "./env.ts";

export interface Backend {
  /** One real round trip. @throws UNAVAILABLE when the other end does not answer. */
  ping(): Promise<void>;
  /** Releases sockets, files and timers. Safe to call twice. */
  close(): Promise<void>;
  /** What `/metrics` tells of it besides its calls; cheap, and with labels that no caller can make more of. */
  gauges?(): readonly Gauge[];
}

/** Takes a sentence that whoever runs the service should read. */
export type Warn = (sentence: string) => void;

/**
 * A CONFIG_ERROR gets the variable of the URL in front of its message, unless its `details.variable` names another one.
 * @param warn Absent: nobody reads.
 */
export type Open<B> = (url: ConfigUrl, warn?: Warn) => Promise<B>;

/**
 * Where a backend is open when several worker processes serve: `each` of them has it open; `one` has, and gets the calls of the
 * others, as what it keeps (locks, leases, caches) is of one process; `none`, as what it holds is gone with its process.
 */
export type Sharing = "each" | "one" | "none";

export interface Definition<B extends Backend> {
  /** Mount prefix, log field, flag, and key in the health report: lower-case letters. */
  readonly name: string;
  /** The variable that holds the backend URL. */
  readonly env: string;
  /** One sentence for `--help` and `/docs`. */
  readonly summary: string;
  readonly routes: Routes<B>;
  /** Scheme to a module that is loaded when the scheme is chosen, never before. */
  readonly backends: Readonly<Record<string, () => Promise<{ readonly open: Open<B> }>>>;
  /** The URL used when the variable is unset. @param dataDir An absolute path. */
  readonly embedded: (dataDir: string) => string;
  /** Absent: `one`, and `none` for `memory:`. */
  readonly sharing?: (url: ConfigUrl) => Sharing;
}

/** What a program needs of a service. */
export interface Startable extends Pick<Definition<Backend>, "name" | "env" | "summary" | "embedded" | "sharing"> {
  readonly routes: readonly (readonly [method: Method, path: string, handler: unknown, spec: Spec])[];
  fromUrl(url: string, warn?: Warn): Promise<Sidecar>;
}

/** Where its backend is open when several workers serve. */
export function sharingOf({ sharing }: Startable, url: ConfigUrl): Sharing {
  return sharing?.(url) ?? (url.scheme === "memory" ? "none" : "one");
}

/** A route with its backend inside. */
export interface BoundRoute {
  readonly method: Method;
  readonly path: string;
  readonly spec: Spec;
  readonly handle: (call: Call) => Promise<Reply>;
}

/** A definition with its backend open. */
export interface Sidecar extends Backend {
  readonly name: string;
  readonly summary: string;
  /** The scheme of its URL, or `custom`. */
  readonly backend: string;
  /** Masked: safe to log. */
  readonly url: string;
  readonly routes: readonly BoundRoute[];
  /** Puts a stand-in before the backend that the routes use from now on: for traces. */
  observe?(around: <B extends object>(backend: B) => B): void;
}

export interface Service<B extends Backend> extends Definition<B> {
  /** @param warn Default: a warning of the process. @throws CONFIG_ERROR naming the variable: unknown scheme, parameter or value. */
  fromUrl(url: string, warn?: Warn): Promise<Sidecar>;
  /** As `fromUrl` with the variable or the file its `_FILE` twin names; unset: the embedded default below `MIKCAR_DATA`. */
  fromEnv(env?: Env): Promise<Sidecar>;
  /** For tests, and for backends of your own. */
  fromBackend(backend: B): Sidecar;
}

/** Makes a service of a definition. The six of this project and any of your own are made the same way. */
export function defineService<B extends Backend>(definition: Definition<B>): Service<B> {
  const bind = (backend: B, scheme: string, url: string): Sidecar => {
    let used = backend;
    return {
      name: definition.name,
      summary: definition.summary,
      backend: scheme,
      url,
      routes: definition.routes.map(([method, path, handler, spec]) => ({
        method,
        path,
        spec,
        handle: (call) => handler(used, call),
      })),
      observe: (around) => {
        used = around(backend);
      },
      gauges: () => backend.gauges?.() ?? [],
      ping: () => backend.ping(),
      close: () => backend.close(),
    };
  };

  return {
    ...definition,
    fromBackend: (backend) => bind(backend, "custom", "custom:"),
    fromEnv: async (env = process.env) => openUrl(definition, urlFromEnv(definition, env), emitWarning, bind),
    fromUrl: (url, warn = emitWarning) => openUrl(definition, url, warn, bind),
  };
}

/** The URL a service runs on: its variable, else its embedded default. */
export function urlFromEnv(service: Pick<Definition<Backend>, "env" | "embedded">, env: Env): string {
  return readSecret(env, service.env) ?? service.embedded(dataDir(env));
}

/** The folder of the embedded backends, absolute: `MIKCAR_DATA`, else `data` below the working folder. */
export function dataDir(env: Env): string {
  return resolve(env["MIKCAR_DATA"] || "data");
}

function emitWarning(sentence: string): void {
  process.emitWarning(sentence);
}

async function openUrl<B extends Backend>(
  definition: Definition<B>,
  text: string,
  warn: Warn,
  bind: (backend: B, scheme: string, url: string) => Sidecar,
): Promise<Sidecar> {
  try {
    const url = configUrl(text);
    const load = Object.hasOwn(definition.backends, url.scheme) ? definition.backends[url.scheme] : undefined;
    if (load === undefined) {
      throw configError(`unknown scheme "${url.scheme}"; known: ${Object.keys(definition.backends).join(", ")}`);
    }
    const { open } = await load();
    const backend = await open(url, warn);
    await refuseUnread(url, backend);
    return bind(backend, url.scheme, url.toString());
  } catch (error) {
    if (isMikcarError(error) && error.code === "CONFIG_ERROR" && !namesVariable(error)) {
      throw configError(`${definition.env}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Its message is about another variable than the URL's, and says so. */
function namesVariable({ details }: MikcarError): boolean {
  return typeof details === "object" && details !== null && "variable" in details;
}

async function refuseUnread(url: ConfigUrl, backend: Backend): Promise<void> {
  try {
    url.refuseUnread();
  } catch (error) {
    await backend.close();
    throw error;
  }
}
