/**
 * The load, in a process of its own on the second core: autocannon on connections that stay open, each sending its next call
 * at once, or a client of ours that opens one for each call.
 */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { pinned } from "./server.ts";
import type { Request } from "./rows.ts";

export interface LoadOptions {
  readonly seconds: number;
  readonly connections: number;
  /** A connection for each call, as WASM handlers do. */
  readonly newConnections: boolean;
  /** A Unix socket to call instead of the address of the URL. */
  readonly socketPath?: string | undefined;
  /** New connections a second, whatever they take; absent: as many as go. */
  readonly perSecond?: number;
}

/** What the process is told. */
export interface Job extends LoadOptions {
  readonly url: string;
  /** Bodies with one character a byte. */
  readonly requests: readonly { method: string; path: string; headers?: Record<string, string>; body?: string }[];
}

export interface LoadResult {
  readonly answered: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Broken connections, timeouts and answers that are no 2xx; any makes the run void. */
  readonly errors: number;
}

export function load(url: string, requests: readonly Request[], options: LoadOptions): Promise<LoadResult> {
  const [program, args] = pinned(1, [
    process.execPath,
    fileURLToPath(new URL(options.newConnections ? "fresh.ts" : "cannon.ts", import.meta.url)),
  ]);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const encoded = requests.map((request) => ({ ...request, body: request.body?.toString("latin1") }));
  child.stdin.end(JSON.stringify({ url, requests: encoded, ...options }));
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk));
    child.once("exit", (code) => {
      if (code === 0)
        resolve(JSON.parse(output) as LoadResult); // what cannon.ts prints
      else reject(new Error(`the load generator ended with code ${code}`));
    });
  });
}
