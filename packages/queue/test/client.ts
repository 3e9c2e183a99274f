/** The service over HTTP, as callers see it, on whichever backend a test has opened. */

import { Agent } from "node:http";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { type Answer, ask } from "@mikcar/devkit";
import type { QueueBackend } from "../src/backend.ts";
import { broker } from "../src/broker.ts";
import { QueueService } from "../src/service.ts";
import type { Quirk } from "./contract.ts";

export interface Client {
  readonly url: string;
  readonly backend: QueueBackend;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

/** What a test works on: a client, and names that no other test uses. */
export interface Current {
  readonly client: () => Client;
  /** Percent-encoded, unique, and the same whenever one test asks for the same label. */
  readonly name: (label?: string) => string;
  readonly has: (quirk: Quirk) => boolean;
}

export async function serve(backend: QueueBackend): Promise<Client> {
  const sidecar = QueueService.fromBackend(broker(backend));
  const server = await new SidecarBuilder()
    .port(0)
    .log(await createLog("silent"))
    .add(sidecar)
    .serve();
  return { ...callerOf(server.url ?? ""), backend, close: () => close(server) };
}

export function callerOf(url: string): Omit<Client, "backend" | "close"> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const call = (
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer> => ask(url, `/queue${path}`, { method, headers, agent, ...(body === undefined ? {} : { body }) });
  return {
    url,
    get: (path, headers = {}) => call("GET", path, headers),
    post: (path, body, headers = {}) => {
      if (body === undefined || typeof body === "string" || Buffer.isBuffer(body))
        return call("POST", path, headers, body);
      return call("POST", path, { "Content-Type": "application/json", ...headers }, JSON.stringify(body));
    },
  };
}

async function close(server: Server): Promise<void> {
  await server.close();
}
