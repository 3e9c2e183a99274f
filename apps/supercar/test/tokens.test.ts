/** Every route of every service, as its table has it, asked by every kind of token. */

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createLog, type Method, type Server, type Sidecar, SidecarBuilder } from "@mikcar/core";
import { readReadme } from "@mikcar/devkit";
import { services } from "../src/services.ts";

const URLS: Readonly<Record<string, string>> = {
  storage: "memory:",
  kv: "memory:",
  sql: "sqlite::memory:",
  queue: "memory:",
  secrets: "memory:",
  email: "memory:",
};

const select = { sql: "SELECT 1" };
const email = { from: "a@example.com", to: ["b@example.com"], subject: "s", text: "t" };
/** A body within the prefix for every route that takes JSON. */
const BODIES: Readonly<Record<string, unknown>> = {
  "POST /storage/copy": { from: "team/a", to: "team/b" },
  "POST /storage/move": { from: "team/a", to: "team/b" },
  "POST /storage/delete/batch": { paths: ["team/a"] },
  "POST /storage/presign/*path": { method: "GET" },
  "POST /kv/get/batch": { keys: ["team/a"] },
  "POST /kv/set/batch": { "team/a": "1" },
  "POST /kv/del/batch": { keys: ["team/a"] },
  "POST /kv/expire/:key": { seconds: 5 },
  "POST /kv/tx": { if: [{ key: "team/a", absent: true }], ops: [{ del: "team/b" }] },
  "POST /sql/query": select,
  "POST /sql/execute": select,
  "POST /sql/batch": { statements: [select] },
  "POST /sql/script": { script: "1" },
  "POST /queue/push/:queue/batch": { messages: [1] },
  "POST /secrets/secret/*name": { value: "v" },
  "PUT /secrets/secret/*name": { value: "v" },
  "POST /email/send": email,
  "POST /email/send/batch": { emails: [email] },
};
/** Beside those whose route says it: without a parameter they reach all there is. */
const REACHES_ALL = ["GET /storage/list", "GET /secrets/list"];

let sidecars: readonly Sidecar[];
let server: Server;
beforeAll(async () => {
  sidecars = await Promise.all(services.map(async ({ name, load }) => (await load()).fromUrl(URLS[name] ?? "")));
  const tokens: Record<string, object> = { all: { scopes: ["*"] } };
  for (const { name } of sidecars) {
    tokens[`${name}-full`] = { scopes: [name] };
    tokens[`${name}-read`] = { scopes: [`${name}:read`] };
    tokens[`${name}-inside`] = { scopes: [name], prefix: "team/" };
    tokens[`${name}-outside`] = { scopes: [name], prefix: "else/" };
    tokens[`not-${name}`] = { scopes: sidecars.map((other) => other.name).filter((other) => other !== name) };
  }
  const builder = new SidecarBuilder()
    .port(0)
    .log(await createLog("silent"))
    .tokens(JSON.stringify(tokens));
  for (const sidecar of sidecars) builder.add(sidecar);
  server = await builder.serve();
});
afterAll(() => server.close());

/** @returns The status; what follows is not waited for, as a watch goes on for ever. */
async function send(method: Method, path: string, token: string | undefined, body: unknown): Promise<number> {
  const filled = path
    .replace(":pattern", "team%2F*")
    .replace("*prefix", "team")
    .replace(":id", "1")
    .replace(/[:*]\w+/, "team%2Fa")
    .replace(/\/(?:pop|subscribe)\/.*/, "$&?timeout=0");
  const response = await fetch(`${server.url}${filled}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await response.body?.cancel();
  return response.status;
}

describe.each(services.map(({ name }) => name))("%s", (name) => {
  it("opens each route to those tokens that are for it", async () => {
    const { routes } = sidecars.find((sidecar) => sidecar.name === name) as Sidecar;
    expect(routes.length).toBeGreaterThan(3);
    for (const { method, path, spec } of routes) {
      const route = `${method} /${name}${path}`;
      const { access, body } = spec;
      if (access === undefined) throw new Error(`${route} does not say what it asks of a token`);
      if (typeof body === "object" && !(route in BODIES)) throw new Error(`${route} has no sample of its body here`);

      const statuses: Record<string, string> = {};
      const kinds = [
        "all",
        `${name}-full`,
        `${name}-read`,
        `${name}-inside`,
        `${name}-outside`,
        `not-${name}`,
        "unknown",
        undefined,
      ];
      for (const token of kinds) {
        const status = await send(method, `/${name}${path}`, token, BODIES[route]);
        statuses[String(token)] = status === 401 || status === 403 ? String(status) : "passes";
      }

      const passes = (does: boolean): string => (does ? "passes" : "403");
      expect([route, statuses]).toEqual([
        route,
        {
          all: "passes",
          [`${name}-full`]: "passes",
          [`${name}-read`]: passes(access.needs === "read"),
          [`${name}-inside`]: passes(access.confine !== undefined && !REACHES_ALL.includes(route)),
          [`${name}-outside`]: passes(access.confine === "nothing"),
          [`not-${name}`]: "403",
          unknown: "401",
          undefined: "401",
        },
      ]);
    }
  });
});

it("has an example in the README that can be used as it stands", () => {
  const readme = readReadme(fileURLToPath(new URL("../../../", import.meta.url)));
  const example = readme.block("json", '"scopes"');

  server.setTokens(example);

  expect(Object.keys(JSON.parse(example) as object)).toHaveLength(2);
});
