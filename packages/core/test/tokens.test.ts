/** Tokens with scopes: what they open, what they confine, and how they change. */

import { renameSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, expect, it } from "@jest/globals";
import { type Answer, ask, temporaryFolder, until } from "@mikcar/devkit";
import { Callers } from "../src/callers.ts";
import { readTokens } from "../src/tokens.ts";
import type { Server } from "../src/server.ts";
import { followTokenFiles } from "../src/token-files.ts";
import { keptLog, serveEcho } from "./echo.ts";

let server: (Server & { readonly url: string }) | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(tokens: unknown, token?: string): Promise<void> {
  server = await serveEcho((builder) => builder.authToken(token).tokens(JSON.stringify(tokens)));
}

function call(token: string | undefined, method = "GET", path = "/echo/read/a"): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return ask(server?.url ?? "", path, { method, headers });
}

it("opens what its scopes name, and says what it lacks", async () => {
  await start({
    r: { scopes: ["echo:read"] },
    w: { scopes: ["echo"] },
    all: { scopes: ["*:read"] },
    no: { scopes: ["kv"] },
  });

  expect((await call("r")).status).toBe(200);
  expect((await call("all")).status).toBe(200);
  expect((await call("w", "POST", "/echo/write/a")).status).toBe(200);
  const lacking = await call("r", "POST", "/echo/write/a");
  expect([lacking.status, lacking.json.error]).toEqual([403, 'this token has no scope "echo"; it has: echo:read']);
  expect((await call("no")).json.error).toBe('this token has no scope "echo:read"; it has: kv');
  expect((await call(undefined)).status).toBe(401);
  expect((await call("other")).status).toBe(401);
  expect((await call("no", "GET", "/ready")).status).toBe(200);
});

it("stands beside the one token, which opens everything", async () => {
  await start({ r: { scopes: ["kv"] } }, "one");

  expect([(await call("one")).status, (await call("r")).status]).toEqual([200, 403]);
});

it("confines names to its prefix, in the path and where the handler finds them", async () => {
  await start({ t: { scopes: ["echo"], prefix: "team/" } });

  expect((await call("t", "GET", "/echo/read/team%2Fa")).status).toBe(200);
  expect((await call("t", "GET", "/echo/read/teammate")).status).toBe(403);
  expect((await call("t", "GET", "/echo/read/TEAM%2Fa")).status).toBe(403);
  expect((await call("t", "GET", "/echo/handler?name=team/b")).status).toBe(200);
  const outside = await call("t", "GET", "/echo/handler?name=b");
  expect([outside.status, outside.json.error]).toEqual([403, 'this token is for names that begin with "team/"']);
  expect((await call("t", "GET", "/echo/undecided")).status).toBe(403);
});

it("takes a route without a decision for the strictest", async () => {
  await start({ r: { scopes: ["echo:read"] }, w: { scopes: ["echo"] } });

  expect((await call("r", "GET", "/echo/undecided")).status).toBe(403);
  expect((await call("w", "GET", "/echo/undecided")).status).toBe(200);
});

it("has its own limits, and tells when to try again", async () => {
  await start({
    calls: { scopes: ["echo"], requests_per_second: 2 },
    bytes: { scopes: ["echo"], body_bytes_per_second: 1000 },
    free: { scopes: ["echo"] },
  });
  const send = (token: string): Promise<Answer> =>
    ask(server?.url ?? "", "/echo/bytes", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: "b".repeat(3000),
    });

  const calls = await Promise.all(Array.from({ length: 5 }, () => call("calls")));
  const bytes = [await send("bytes"), await send("bytes")];

  expect(calls.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429]);
  const refused = calls.find(({ status }) => status === 429);
  expect([refused?.headers["retry-after"], refused?.json.code]).toEqual(["1", "TOO_MANY_REQUESTS"]);
  expect(bytes.map(({ status }) => status)).toEqual([200, 429]);
  expect(Number(bytes[1]?.headers["retry-after"])).toBeGreaterThanOrEqual(2);
  expect(
    (await Promise.all(Array.from({ length: 20 }, () => call("free")))).every(({ status }) => status === 200),
  ).toBe(true);
});

it("counts bodies that break off, and those that nobody reads", async () => {
  const grant = { scopes: ["echo"], body_bytes_per_second: 1000 };
  await start({ broken: grant, unread: grant });
  const { port } = new URL(server?.url ?? "");
  const post = (token: string, path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 9000\r\n\r\n`;
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(`${post("broken", "/echo/bytes")}${"b".repeat(5000)}`);
  await until("the broken body counts", async () => (await call("broken")).status === 429);
  socket.destroy();

  const ignored = await ask(server?.url ?? "", "/echo/nothing", {
    method: "POST",
    headers: { authorization: "Bearer unread" },
    body: "b".repeat(5000),
  });

  expect(ignored.status).toBe(200);
  await until("the unread body counts", async () => (await call("unread")).status === 429);
});

it("signs URLs that end with it, and open no more than it does", async () => {
  await start({ t: { scopes: ["echo"], prefix: "team-" }, u: { scopes: ["echo"] } });
  const signed = async (token: string, name: string): Promise<string> =>
    (await call(token, "GET", `/echo/sign?name=${encodeURIComponent(name)}`)).json.url;
  const follow = (url: string): Promise<Answer> => ask(url, url.slice(new URL(url).origin.length));
  const [inside, outside, other] = [await signed("t", "team-a"), await signed("t", "b"), await signed("u", "b")];

  expect([(await follow(inside)).status, (await follow(outside)).status, (await follow(other)).status]).toEqual([
    200, 403, 200,
  ]);
  server?.setTokens(JSON.stringify({ u: { scopes: ["echo"] } }));
  expect([(await follow(inside)).status, (await follow(other)).status]).toEqual([403, 200]);
  server?.setTokens(JSON.stringify({ u: { scopes: ["kv"] } }));
  expect((await follow(other)).status).toBe(403);
});

it("is read anew when its file changes, also as a link, and stays when the file is wrong", async () => {
  const folder = temporaryFolder();
  const file = `${folder.path}/tokens.json`;
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write('{"old": {"scopes": ["echo"]}}');
  await start({ old: { scopes: ["echo"] } });
  const lines: string[] = [];
  const end = followTokenFiles(
    { SIDECAR_TOKENS_FILE: file },
    { authToken: undefined, tokens: '{"old": {"scopes": ["echo"]}}' },
    server as Server,
    await keptLog(lines),
  );
  try {
    write('{"new": {"scopes": ["echo"]}}');
    await until("the old token is refused", async () => (await call("old")).status === 401);
    expect((await call("new")).status).toBe(200);

    write('{"newer"');
    await until("the fault is told", () => lines.some((line) => line.includes("the tokens stay as they were")));
    expect((await call("new")).status).toBe(200);
    expect(lines.join()).not.toContain("newer");
  } finally {
    end();
    folder.remove();
  }
});

it("ends what a token has open when it is not valid any more, and nothing of others", async () => {
  const grant = { scopes: ["echo"] };
  await start({ gone: grant, less: grant, stays: grant }, "one");
  const open = (token: string): Promise<Response> =>
    fetch(`${server?.url}/echo/events`, { headers: { authorization: `Bearer ${token}` } });
  const [gone, less, stays] = [await open("gone"), await open("less"), await open("stays")];
  let hasEnded = false;
  const staying = stays.text().finally(() => (hasEnded = true));

  server?.setTokens(JSON.stringify({ stays: grant, less: { scopes: ["kv"] } }));

  await expect(gone.text()).rejects.toThrow();
  await expect(less.text()).rejects.toThrow();
  expect(hasEnded).toBe(false);
  const full = await open("one");
  server?.setAuthToken("two");
  await expect(full.text()).rejects.toThrow();
  expect([(await call("one")).status, (await call("two")).status]).toEqual([401, 200]);
  await server?.close();
  server = undefined;
  await staying;
});

it.each([
  ["not JSON", "{", /it is not JSON/],
  ["a list", "[]", /expected an object/],
  ["no scopes", '{"hush": {}}', /entry 1: scopes/],
  ["an odd scope", '{"a": {"scopes": ["kv"]}, "hush": {"scopes": ["kv:rw"]}}', /entry 2: scopes\.0: expected/],
  ["an unknown member", '{"hush": {"scopes": ["kv"], "prefx": "a"}}', /entry 1: .*prefx/],
  ["a token with white space", '{"hu sh": {"scopes": ["kv"]}}', /entry 1: a token/],
  ["a rate of nothing", '{"hush": {"scopes": ["kv"], "requests_per_second": 0}}', /requests_per_second/],
])("refuses %s without repeating a token", (_what, text, message) => {
  expect(() => readTokens(text)).toThrow(message);
  expect(() => readTokens(text)).not.toThrow(/hu ?sh/);
});

it("keeps the old tokens when the new ones are wrong", () => {
  const callers = new Callers(undefined, '{"a": {"scopes": ["kv"]}}');

  expect(() => callers.setTokens("{")).toThrow(/SIDECAR_TOKENS/);

  expect(callers.find("a")).toBeDefined();
});

it("tells a token its own limit, whatever part of it this process watches over", () => {
  const tokens = JSON.stringify({ t: { scopes: ["kv"], requests_per_second: 2 } });
  const caller = new Callers(undefined, tokens, { share: 1 / 4 }).find("t");
  caller?.admit();

  expect(() => caller?.admit()).toThrow("this token may send 2 requests a second");
});
