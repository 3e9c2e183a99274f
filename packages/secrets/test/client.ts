/** The service over HTTP, as callers see it, with an ear on all it says: no value may be in it. */

import { Agent } from "node:http";
import { createLog, SidecarBuilder } from "@mikcar/core";
import { type Answer, ask } from "@mikcar/devkit";
import type { SecretsBackend } from "../src/backend.ts";
import { SecretsService } from "../src/service.ts";

/** In every value that a test stores. */
export const MARK = "v4lu3";

export interface Client {
  readonly url: string;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  create(name: string, value: string, labels?: Record<string, string>): Promise<Answer>;
  update(name: string, value: string, labels?: Record<string, string>): Promise<Answer>;
  remove(name: string): Promise<Answer>;
  /** All log lines, and all answers but those that are to tell a value. */
  said(): string;
  close(): Promise<void>;
}

export async function serve(backend: SecretsBackend): Promise<Client> {
  const heard: string[] = [];
  const log = await createLog("debug", { write: (line) => void heard.push(line) });
  const server = await new SidecarBuilder().port(0).log(log).add(SecretsService.fromBackend(backend)).serve();
  const url = server.url ?? "";
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const call = async (
    method: string,
    path: string,
    options: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<Answer> => {
    const answer = await ask(url, `/secrets${path}`, { method, agent, ...options });
    if (!path.startsWith("/secret/") || method !== "GET" || answer.status !== 200) heard.push(answer.text);
    return answer;
  };
  const send = (method: string, name: string, body: object): Promise<Answer> =>
    call(method, `/secret/${name}`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  return {
    url,
    get: (path, headers = {}) => call("GET", path, { headers }),
    create: (name, value, labels) => send("POST", name, { value, labels }),
    update: (name, value, labels) => send("PUT", name, { value, labels }),
    remove: (name) => call("DELETE", `/secret/${name}`),
    said: () => heard.join("\n"),
    close: async () => {
      agent.destroy();
      await server.close();
    },
  };
}
