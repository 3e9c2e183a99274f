/** The wire, over memory: status, headers and body of every route of the table. */

import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { routes } from "../src/routes.ts";
import { KvService } from "../src/service.ts";
import { changing } from "./wire/changing.ts";
import { client } from "./wire/client.ts";
import { reading } from "./wire/reading.ts";
import { refusals } from "./wire/refusals.ts";
import { writing } from "./wire/writing.ts";

const tests = { ...reading, ...writing, ...changing };
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

let server: Server;
beforeEach(async () => {
  const sidecar = await KvService.fromUrl("memory://");
  server = await new SidecarBuilder()
    .port(0)
    .log(await createLog("silent"))
    .add(sidecar)
    .serve();
});
afterEach(() => server.close());

const kv = client(() => server.url ?? "");
for (const [route, register] of Object.entries(tests)) describe(route, () => register(kv));
describe("bad input", () => refusals(kv));

it("has tests for exactly the routes of the table", () => {
  expect(Object.keys(tests).sort()).toEqual(routes.map(([method, path]) => `${method} ${path}`).sort());
});

it("answers only with statuses that the table tells", async () => {
  const ending = routes.filter(([, , , { replies }]) => replies[200]?.[1] !== "events"); // a stream has no end
  for (const [method, path, , { replies }] of ending) {
    const body = path === "/set/batch" ? '{"a":"1"}' : '{"keys":["a"],"seconds":5,"ops":[{"increment":"n"}]}';
    await kv.post("/set/x", "1");
    const answer = await kv.send(method, path.replace(/:\w+/, "x"), {
      headers: { "Content-Type": "application/json" },
      ...(method === "POST" && path !== "/set/:key" ? { body } : {}),
    });

    const statuses = Object.keys(replies);
    expect([path, statuses.includes(String(answer.status))]).toEqual([path, true]);
  }
});

describe("the README", () => {
  it.each(routes.map(([method, path]) => [method, path.replaceAll(/:(\w+)/g, "{$1}")] as const))(
    "has a row for %s %s",
    (method, path) => {
      expect(readme).toMatch(new RegExp(`^\\| \`${method} ${path.replaceAll(/[{}]/g, "\\$&")}[\`?]`, "m"));
    },
  );

  it.each(Object.keys(KvService.backends))("has a row for the scheme %s", (scheme) => {
    expect(readme).toMatch(new RegExp(`^\\| .*\`${scheme.replace("+", "\\+")}:`, "m"));
  });
});
