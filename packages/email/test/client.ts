/** The service over HTTP, as callers see it, on whichever backend a test has opened. */

import { createLog, SidecarBuilder } from "@mikcar/core";
import { type Answer, ask } from "@mikcar/devkit";
import type { EmailBackend } from "../src/backend.ts";
import { mailer } from "../src/mailer.ts";
import { EmailService } from "../src/service.ts";

export interface Client {
  readonly url: string;
  /** All that the server has logged. */
  log(): string;
  get(path: string): Promise<Answer>;
  delete(path: string): Promise<Answer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** `POST /email/send`. */
  send(email: object, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

export async function serve(backend: EmailBackend): Promise<Client> {
  let lines = "";
  const log = await createLog("debug", { write: (line) => void (lines += line) });
  const server = await new SidecarBuilder()
    .port(0)
    .log(log)
    .add(EmailService.fromBackend(mailer(backend)))
    .serve();
  const url = server.url ?? "";
  const post: Client["post"] = (path, body, headers = {}) =>
    ask(url, `/email${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return {
    url,
    log: () => lines,
    get: (path) => ask(url, `/email${path}`),
    delete: (path) => ask(url, `/email${path}`, { method: "DELETE" }),
    post,
    send: (email, headers) => post("/send", email, headers),
    close: () => server.close(),
  };
}

/** The least that can be sent. */
export const HELLO = { from: "ada@example.org", to: ["bob@example.com"], subject: "Hello", text: "Hi Bob\n" };
