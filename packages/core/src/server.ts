/** The builder of a server: settings one by one, and the sidecars that it carries. */

import { DEFAULTS } from "./dispatch.ts";
import { configError } from "./errors.ts";
import type { Middleware } from "./express.ts";
import type { Log } from "./log.ts";
import type { Sample } from "./metrics-text.ts";
import type { Sidecar } from "./service.ts";
import { serve } from "./serving.ts";

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
  /** The first part of `close()`: as that, but backends stay open, and so does what other workers reach. */
  drain(): Promise<void>;
  /** Stops accepting, lets open calls end within the drain time, then closes every backend. Safe to call twice. */
  close(): Promise<void>;
}

/** Of a process that serves together with others; see `workers/`. */
export interface WorkerSettings {
  /** Where the others reach what this one alone has open. */
  readonly socketPath: string;
  /** The names of those services. */
  readonly owned: readonly string[];
  /** Part of each token's limits that is watched over here, above 0. */
  readonly share: number;
  /** For URLs signed without a token. */
  readonly signingKey: string;
  /** Nobody listens on the addresses yet. */
  readonly isFirst: boolean;
}

/** What a builder has collected. */
export interface ServerSettings {
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
  worker: WorkerSettings | undefined;
}

/** Collects sidecars and settings; every setter returns the builder. */
export class SidecarBuilder {
  readonly #sidecars: Sidecar[] = [];
  readonly #middleware: Middleware[] = [];
  readonly #settings: ServerSettings = {
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
    worker: undefined,
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

  /** This process serves together with others. */
  worker(worker: WorkerSettings): this {
    return this.#set({ worker });
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
  serve(): Promise<Server> {
    return serve({ ...this.#settings }, this.#sidecars, this.#middleware);
  }

  #set(settings: Partial<ServerSettings>): this {
    Object.assign(this.#settings, settings);
    return this;
  }
}
