/** The wire, over memory: every route of the table, what it refuses, and that the README tells of it. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask } from "@mikcar/devkit";
import { open } from "../src/backends/memory.ts";
import { routes } from "../src/routes.ts";
import { SecretsService } from "../src/service.ts";
import { type Client, serve } from "./client.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const JSON_TYPE = { "Content-Type": "application/json" };

let client: Client;
beforeAll(async () => {
  client = await serve(await open(configUrl("memory:")));
});
afterAll(() => client.close());

function call(
  method: string,
  path: string,
  body: unknown = { value: "x" },
  headers = JSON_TYPE,
): ReturnType<typeof ask> {
  const isWrite = method === "POST" || method === "PUT";
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return ask(client.url, `/secrets${path}`, isWrite ? { method, headers, body: text } : { method });
}

const table = routes.map(([method, path]) => [method, path] as const);

describe.each(table)("%s %s", (method, path) => {
  it("answers as its table says, in JSON", async () => {
    const { status, headers } = await call(method, path.replace(/\*\w+/, "fine"));

    const { replies, errors = [] } = routes.find((route) => route[0] === method && route[1] === path)?.[3] ?? {};
    expect([...Object.keys(replies ?? {}), ...(errors.includes("NOT_FOUND") ? ["404"] : [])]).toContain(String(status));
    expect(headers["content-type"]).toBe("application/json");
  });

  it("stands in the README", () => {
    expect(readme).toContain(`\`${method} ${path.replace(/\*(\w+)/, "{$1...}")}`);
  });
});

describe.each(table.filter(([, path]) => path.includes("*")))("%s %s", (method, path) => {
  it.each(["..", "a/../b", "a//b", "a%20b", "a%00", "x".repeat(201)])(
    "answers 400 to the name %s, and says why",
    async (name) => {
      const { status, json } = await call(method, path.replace(/\*\w+/, name));

      const field = /\*(\w+)/.exec(path)?.[1];
      expect([status, json.code]).toEqual([400, "BAD_REQUEST"]);
      expect(json.details).toEqual([{ field, message: expect.stringMatching(/^a name (?:is|has)/) }]);
    },
  );
});

describe.each(["POST", "PUT"])("a %s", (method) => {
  it.each<[string, unknown, string]>([
    ["no value", {}, "value"],
    ["a value that is a number", { value: 1 }, "value"],
    ["an empty value", { value: "" }, "value"],
    ["a value of 65 537 bytes", { value: `${"é".repeat(32_768)}x` }, "value"],
    ["half a character", '{"value":"\\ud83d"}', "value"],
    ["labels that are a list", { value: "x", labels: ["a"] }, "labels"],
    ["a label that is a number", { value: "x", labels: { a: 1 } }, "labels.a"],
    ["a label that a record would lose", '{"value":"x","labels":{"__proto__":"x"}}', "labels"],
    ["an empty label", { value: "x", labels: { a: "" } }, "labels.a"],
    ["a label of several lines", { value: "x", labels: { a: "b\nc" } }, "labels.a"],
    ["a label with a name that is none", { value: "x", labels: { " ": "b" } }, "labels. "],
    [
      "51 labels",
      { value: "x", labels: Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`l${at}`, "x"])) },
      "labels",
    ],
    ["no object", [], "body"],
  ])("with %s is 422 and names it", async (_what, body, field) => {
    const { status, json } = await call(method, "/secret/new", body);

    expect([status, json.code]).toEqual([422, "UNPROCESSABLE"]);
    expect(json.details[0].field).toBe(field);
    expect((await call("GET", "/exists/new")).json.exists).toBe(false);
  });

  it("needs JSON, and says so", async () => {
    expect((await call(method, "/secret/new", "{")).status).toBe(400);
    expect((await call(method, "/secret/new", "{}", { "Content-Type": "text/plain" })).status).toBe(415);
  });

  it("tells nothing of a value it refuses", async () => {
    await call(method, "/secret/new", { value: ["v4lu3"] });
    await call(method, "/secret/new", '{"value": "v4lu3');
    const { text } = await call(method, "/secret/new", '{"value": v4lu3}');

    expect(text).not.toContain("v4lu3");
    expect(client.said()).not.toContain("v4lu3");
  });
});

it.each([
  ["/secret/a", "version="],
  ["/secret/a", "version=a%20b"],
  ["/list", "limit=0"],
  ["/list", "limit=1001"],
  ["/list", "limit=x"],
  ["/list", "cursor=.."],
  ["/list/a", "cursor=a%20b"],
])("GET %s?%s is 400 and named", async (path, query) => {
  const { status, json } = await call("GET", `${path}?${query}`);

  expect([status, json.code]).toEqual([400, "BAD_REQUEST"]);
  expect(json.details[0].field).toBe(query.split("=")[0]);
});

it("takes %2F in a name for the / it is", async () => {
  await call("POST", "/secret/one%2Ftwo");

  expect((await call("GET", "/secret/one/two")).json.value).toBe("x");
  expect((await call("GET", "/list/one%2F")).json.secrets[0].name).toBe("one/two");
});

it("does not answer HEAD, which would have no value", async () => {
  expect((await call("HEAD", "/secret/a")).status).toBe(405);
});

it("has every scheme in the README, and no other", () => {
  const told = [...readme.matchAll(/^\| `([a-z-]+):/gm)].map(([, scheme]) => scheme);

  expect(told.toSorted()).toEqual(Object.keys(SecretsService.backends).toSorted());
});
