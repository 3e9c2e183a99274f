/** The load: autocannon in a process of its own on the second core, 64 connections, each sending its next call at once. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { pinned } from "./server.ts";
import type { Request } from "./rows.ts";

export interface LoadOptions {
  readonly seconds: number;
  readonly connections: number;
  /** A connection for each call, as WASM handlers do. */
  readonly newConnections: boolean;
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
  const [program, args] = pinned(1, [process.execPath, fileURLToPath(new URL("cannon.ts", import.meta.url))]);
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
