/** The wire, over memory: every route of the table, what it refuses, and that the README tells of it. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask } from "@mikcar/devkit";
import { open } from "../src/backends/memory.ts";
import { routes } from "../src/routes.ts";
import { QueueService } from "../src/service.ts";
import { type Client, serve } from "./client.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const JSON_TYPE = { "Content-Type": "application/json" };

let client: Client;
beforeAll(async () => {
  client = await serve(await open(configUrl("memory:")));
});
afterAll(() => client.close());

const table = routes.map(([method, path]) => [method, path] as const);
const named = table.filter(([, path]) => /:(?:queue|topic)/.test(path));

function call(method: string, path: string, headers = {}): ReturnType<typeof ask> {
  const body = path.includes("/batch") ? '{"messages":[1]}' : "{}";
  return ask(client.url, `/queue${path}`, {
    method,
    headers: { ...JSON_TYPE, ...headers },
    ...(method === "POST" ? { body } : {}),
  });
}

describe.each(named)("%s %s", (method, path) => {
  const send = (name: string, query = ""): ReturnType<typeof ask> =>
    call(method, path.replace(/:(?:queue|topic)/, name).replace(":id", "some-id") + query);

  it.each([
    ["q".repeat(201), "at most 200 bytes"],
    ["%C3%A9".repeat(101), "at most 200 bytes"],
    ["a%00b", "no control characters"],
    ["a%0Ab", "no control characters"],
    ["%C2%85", "no control characters"],
  ])("answers 400 to the name %#, and says why", async (name, message) => {
    const { status, json } = await send(name);

    const field = path.includes(":queue") ? "queue" : "topic";
    expect([status, json.code]).toEqual([400, "BAD_REQUEST"]);
    expect(json.details).toEqual([{ field, message: expect.stringContaining(message) }]);
  });

  it("answers 400 to an undecodable name", async () => {
    expect((await send("%ff")).json).toMatchObject({ status: 400, code: "BAD_REQUEST" });
  });

  it("answers as its table says", async () => {
    const { status, headers } = await send("fine", "?timeout=0");

    const { replies, errors = [] } = routes.find((route) => route[0] === method && route[1] === path)?.[3] ?? {};
    expect([...Object.keys(replies ?? {}), ...(errors.includes("NOT_FOUND") ? ["404"] : [])]).toContain(String(status));
    expect(headers["content-type"]).toBe("application/json");
  });
});

describe("a parameter that cannot be", () => {
  it.each([
    ["GET", "/pop/q", "timeout=61"],
    ["GET", "/pop/q", "timeout=-1"],
    ["GET", "/pop/q", "timeout=1e1"],
    ["GET", "/pop/q", "visibility=0&ack=manual"],
    ["GET", "/pop/q", "visibility=43201"],
    ["GET", "/pop/q", "ack=maybe"],
    ["POST", "/push/q", "delay=soon"],
    ["POST", "/push/q", "delay=2592001"],
    ["POST", "/push/q", "delay=0.0001"],
    ["GET", "/subscribe/t", "max_messages=0"],
    ["GET", "/subscribe/t", "max_messages=1001"],
    ["GET", "/subscribe/t", "group="],
    ["GET", "/subscribe/t", "group=a%0Ab"],
    ["POST", "/ack/t/id", "group="],
    ["POST", "/nack/t/id", "delay=x"],
    ["POST", "/nack/t/id", `reason=${"x".repeat(1001)}`],
    ["GET", "/peek/q", "max_messages=x"],
    ["GET", "/dead/q", "max_messages=1001"],
    ["POST", "/dead/q/redrive", "max_messages=0"],
  ])("%s %s?%s is 400 and named", async (method, path, query) => {
    const { status, json } = await call(method, `${path}?${query}`);

    expect([status, json.code]).toEqual([400, "BAD_REQUEST"]);
    expect(json.details[0].field).toBe(query.split("=")[0]);
  });

  it.each(["", "x".repeat(256), "ü"])("the idempotency key %p is 400", async (key) => {
    const headers = { "Idempotency-Key": Buffer.from(key).toString("latin1") };
    const { status, json } = await call("POST", "/push/q", headers);

    expect([status, json.error]).toEqual([400, expect.stringContaining("Idempotency-Key")]);
  });

  it.each<[string, number, Record<string, string>]>([
    ['{"messages":[]}', 422, JSON_TYPE],
    ['{"messages":{}}', 422, JSON_TYPE],
    ["{}", 422, JSON_TYPE],
    ["[1]", 422, JSON_TYPE],
    [JSON.stringify({ messages: Array.from({ length: 1001 }, () => 1) }), 422, JSON_TYPE],
    ["{", 400, JSON_TYPE],
    [`{"messages":[1,${"[".repeat(100_000)}${"]".repeat(100_000)}]}`, 422, JSON_TYPE],
    ['{"messages":[1]}', 415, {}],
    ['{"messages":[1,{"a":[1e400]}]}', 422, JSON_TYPE],
  ])("the batch %#  is refused, and nothing is sent", async (body, status, headers) => {
    const before = await client.get("/len/refused");

    const answer = await client.post("/push/refused/batch", body, headers);

    expect(answer.status).toBe(status);
    expect((await client.get("/len/refused")).json).toEqual(before.json);
  });

  it("a message above the limit is 413, and nothing is sent", async () => {
    const { status } = await client.post("/push/large", Buffer.alloc(10 * 1024 * 1024 + 1, "x"));

    expect(status).toBe(413);
    expect((await client.get("/len/large")).json.length).toBe(0);
  });
});

describe("the README", () => {
  it.each(table.map(([method, path]) => [method, path.replaceAll(/:(\w+)/g, "{$1}")] as const))(
    "has a row for %s %s",
    (method, path) => {
      expect(readme).toMatch(new RegExp(`^\\| \`${method} ${path.replaceAll(/[{}]/g, "\\$&")}[\`?]`, "m"));
    },
  );

  it.each(Object.keys(QueueService.backends))("has a row for the scheme %s", (scheme) => {
    expect(readme).toMatch(new RegExp(`^\\| .*\`${scheme}:`, "m"));
  });
});
