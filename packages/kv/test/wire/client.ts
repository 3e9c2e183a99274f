/** Calls over the wire, on the server of the test that runs. */

import { expect } from "@jest/globals";
import { type Answer, ask, type Ask } from "@mikcar/devkit";

export interface Client {
  /** Where `/kv` is. */
  base(): string;
  /** @param path Below `/kv`, sent as it stands. */
  send(method: string, path: string, options?: Ask): Promise<Answer>;
  get(path: string, headers?: Ask["headers"]): Promise<Answer>;
  /** @param body Raw bytes, without a content type. */
  post(path: string, body?: string | Buffer, headers?: Ask["headers"]): Promise<Answer>;
  /** @param body Sent as JSON, with its content type; a string is sent as it stands. */
  json(path: string, body: unknown, headers?: Ask["headers"]): Promise<Answer>;
}

/** Tests by route: `GET /get/:key`. */
export type RouteTests = Readonly<Record<string, (kv: Client) => void>>;

export function client(base: () => string): Client {
  const send: Client["send"] = (method, path, options) => ask(base(), `/kv${path}`, { method, ...options });
  return {
    base: () => `${base()}/kv`,
    send,
    get: (path, headers = {}) => send("GET", path, { headers }),
    post: (path, body, headers = {}) => send("POST", path, { headers, ...(body === undefined ? {} : { body }) }),
    json: (path, body, headers = {}) =>
      send("POST", path, {
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
  };
}

/** What every error looks like. */
export function failure(status: number, code: string, details?: unknown): unknown {
  return { error: expect.stringMatching(/\S/), code, status, ...(details === undefined ? {} : { details }) };
}
