/** A few calls to every service: enough to see that it is whole, over whatever backend it has. */

import { expect } from "@jest/globals";
import { ask, type Ask } from "@mikcar/devkit";

type Step = readonly [call: string, body: unknown, answer: RegExp];

/** `kv` and so on: what to call, what to send (a text as it is, the rest as JSON), and what comes back. */
// prettier-ignore
const STEPS: Readonly<Record<string, readonly Step[]>> = {
  storage: [
    ["PUT /storage/object/a/b.txt", "water the plants", /"status":"created"/],
    ["GET /storage/object/a/b.txt", undefined, /^water the plants$/],
  ],
  kv: [
    ["POST /kv/set/a", "1", /"status":"ok"/],
    ["POST /kv/increment/a", undefined, /^{"value":2}$/],
  ],
  sql: [
    ["POST /sql/query", { sql: "SELECT 1 + 1 AS a" }, /"rows":\[{"a":2}\]/],
    ["POST /sql/script", { script: "sql.query('SELECT 1 AS a')[0].a + input", input: 2 }, /"result":3,"queries_executed":1/],
  ],
  queue: [
    ["POST /queue/push/jobs", { job: 7 }, /"status":"pushed"/],
    ["GET /queue/pop/jobs?timeout=5", undefined, /"payload":{"job":7}/],
  ],
  secrets: [
    ["POST /secrets/secret/db/password", { value: "correct horse" }, /"status":"created"/],
    ["GET /secrets/secret/db/password", undefined, /"value":"correct horse"/],
  ],
  email: [
    ["POST /email/send", { from: "app@example.org", to: ["ada@example.org"], subject: "Hello", text: "It works." }, /"success":true/],
    ["GET /email/outbox?limit=1", undefined, /"subject":"Hello"/],
  ],
};

export const services: readonly string[] = Object.keys(STEPS);

/** Calls each of these services as a program would. @param token For `Authorization`. */
export async function tour(url: string, names: readonly string[], token?: string): Promise<void> {
  for (const [call, body, answer] of names.flatMap((name) => STEPS[name] ?? [])) {
    const [method = "", path = ""] = call.split(" ");
    const isJson = typeof body === "object";
    const headers = {
      ...(isJson ? { "Content-Type": "application/json" } : {}),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
    const options: Ask = {
      method,
      headers,
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : String(body) }),
    };

    const { status, text } = await ask(url, path, options);

    expect([call, status, text]).toEqual([call, status < 300 ? status : "2xx", expect.stringMatching(answer)]);
  }
}
