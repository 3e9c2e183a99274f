/** The storage service over HTTP, as callers see it. */

import { expect } from "@jest/globals";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { type Answer, type Ask, ask } from "@mikcar/devkit";
import type { StorageBackend } from "../src/backend.ts";
import { routes } from "../src/routes.ts";
import { StorageService } from "../src/service.ts";

/** Method and pattern of every route that was called. */
export const asked = new Set<string>();

let server: Server | undefined;
let finishedPuts = 0;

/** Every call goes to this backend from now on. */
export async function serve(storage: StorageBackend, token?: string, maxObjectBytes = 100_000): Promise<void> {
  await close();
  const builder = new SidecarBuilder()
    .port(0)
    .authToken(token)
    .maxObjectBytes(maxObjectBytes)
    .log(await createLog("silent"));
  server = await builder.add(StorageService.fromBackend(watched(storage))).serve();
}

/** Closes the backend as well. */
export async function close(): Promise<void> {
  await server?.close();
  server = undefined;
}

export function url(): string {
  return server?.url ?? "";
}

/** Tells when one more `put` of the backend has come to its end, whichever. */
export function watchPuts(): { isOver(): boolean } {
  const before = finishedPuts;
  return { isOver: () => finishedPuts > before };
}

function watched(storage: StorageBackend): StorageBackend {
  return new Proxy(storage, {
    get: (target, name: keyof StorageBackend) => {
      if (name !== "put") return target[name]?.bind(target);
      return (...args: Parameters<StorageBackend["put"]>) => target.put(...args).finally(() => (finishedPuts += 1));
    },
  });
}

export function call(method: string, path: string, options: Ask = {}): Promise<Answer> {
  const route = routes.find(([other, pattern]) => other === method && matches(pattern, path));
  if (route !== undefined) asked.add(`${method} ${route[1]}`);
  return ask(url(), `/storage${path}`, { ...options, method });
}

function matches(pattern: string, path: string): boolean {
  return new RegExp(`^${pattern.replace(/\*\w+$/, ".*")}(?:\\?.*)?$`).test(path);
}

export function json(body: unknown): Ask {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

export function put(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return call("PUT", `/object/${path}`, { headers, body });
}

export function expectError(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.json.code, answer.json.status]).toEqual([status, code, status]);
  expect(typeof answer.json.error).toBe("string");
}
