import { afterEach, describe, expect, it } from "@jest/globals";
import { ask } from "@mikcar/devkit";
import { type Server } from "../src/index.ts";
import { UrlSigner } from "../src/signing.ts";
import { serveEcho } from "./echo.ts";

const open: Server[] = [];
const start: typeof serveEcho = async (...args) => {
  const server = await serveEcho(...args);
  open.push(server);
  return server;
};
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

describe("with a token", () => {
  it.each([
    ["none", {}, 401],
    ["another", { Authorization: "Bearer tokem" }, 401],
    ["a longer one", { Authorization: "Bearer tokentoken" }, 401],
    ["another scheme", { Authorization: "Basic token" }, 401],
    ["the right one", { Authorization: "Bearer token" }, 200],
    ["the scheme in another case", { Authorization: "bEARER token" }, 200],
  ])("a call with %s gets its answer: %j %i", async (_which, headers, status) => {
    const { url } = await start((builder) => builder.authToken("token"));

    const answer = await ask(url, "/echo/param/a", { headers });

    expect(answer.status).toBe(status);
    if (status === 401)
      expect([answer.headers["www-authenticate"], answer.json.code]).toEqual(["Bearer", "UNAUTHORIZED"]);
  });

  it("an unknown route is 401 before it is 404, and health is open", async () => {
    const { url } = await start((builder) => builder.authToken("token"));

    expect((await ask(url, "/nowhere")).status).toBe(401);
    expect((await ask(url, "/docs")).status).toBe(401);
    expect((await ask(url, "/health")).status).toBe(200);
  });

  it("any Host and Origin may call, as the token protects", async () => {
    const { url } = await start((builder) => builder.authToken("token"));
    const headers = { Authorization: "Bearer token", Host: "sidecar.example", Origin: "https://evil.example" };

    expect((await ask(url, "/echo/param/a", { headers })).status).toBe(200);
  });

  it("it may hold any letters, sent as their UTF-8 bytes", async () => {
    const { url } = await start((builder) => builder.authToken("pässwörd"));
    const Authorization = `Bearer ${Buffer.from("pässwörd").toString("latin1")}`;

    expect((await ask(url, "/echo/param/a", { headers: { Authorization } })).status).toBe(200);
  });

  it("an empty one counts as none", async () => {
    const { url } = await start((builder) => builder.authToken(""));

    expect((await ask(url, "/echo/param/a")).status).toBe(200);
  });
});

describe("without a token", () => {
  it.each([
    [{ Host: "localhost:1234" }, 200],
    [{ Host: "127.0.0.1" }, 200],
    [{ Host: "[::1]:80" }, 200],
    [{ Host: "evil.example" }, 403],
    [{ Host: "localhost.evil.example" }, 403],
    [{ Host: "127.0.0.1.evil.example" }, 403],
    [{ Host: "localhost", Origin: "https://evil.example" }, 403],
    [{ Host: "localhost", Origin: "null" }, 403],
    [{ Host: "localhost:1234", Origin: "http://localhost:1234" }, 200],
    [{ Host: "localhost:1234", Origin: "http://localhost:5173" }, 403],
  ])("a call with %j answers %i", async (headers, status) => {
    const { url } = await start();

    expect((await ask(url, "/echo/param/a", { headers })).status).toBe(status);
  });

  it("an address that is not loopback is refused, unless that is said", async () => {
    await expect(serveEcho((builder) => builder.host("0.0.0.0"))).rejects.toThrow(
      /without a token only loopback is safe/,
    );

    const { url, logged } = await start((builder) => builder.host("0.0.0.0").noAuth());
    const answer = await ask(url.replace("0.0.0.0", "127.0.0.1"), "/echo/param/a", {
      headers: { Host: "sidecar.local" },
    });

    expect(answer.status).toBe(200);
    expect(logged.join("")).toContain("no token is set");
  });
});

describe("CORS", () => {
  const origin = "https://app.example";

  it("is off until an origin is listed", async () => {
    const { url } = await start((builder) => builder.authToken("token"));

    const answer = await ask(url, "/health", { headers: { Origin: origin } });

    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("answers a listed origin, its preflight without a token", async () => {
    const { url } = await start((builder) => builder.authToken("token").corsOrigins([origin]));

    const preflight = await ask(url, "/echo/param/a", {
      method: "OPTIONS",
      headers: {
        Origin: origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
      },
    });
    const call = await ask(url, "/echo/param/a", { headers: { Origin: origin, Authorization: "Bearer token" } });
    const other = await ask(url, "/echo/param/a", {
      headers: { Origin: "https://other.example", Authorization: "Bearer token" },
    });

    expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([204, origin]);
    expect(preflight.headers["access-control-allow-headers"]).toBe("authorization");
    expect([call.status, call.headers["access-control-allow-origin"], call.headers.vary]).toEqual([
      200,
      origin,
      "Origin",
    ]);
    expect(other.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("also reaches what Express serves", async () => {
    const { url } = await start((builder) => builder.corsOrigins([origin]));

    const answer = await ask(url, "/openapi.json", { headers: { Origin: origin } });

    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([200, origin]);
  });
});

describe("a signed URL", () => {
  const soon = new Date(Date.now() + 60_000);

  it("opens its route without a token, and nothing else", async () => {
    const { url } = await start((builder) => builder.authToken("token"));
    const path = new UrlSigner("token").sign("GET", "/echo/param/a b", soon);

    expect((await ask(url, path)).text).toBe("a b");
    expect((await ask(url, path.replace("a%20b", "c"))).status).toBe(403);
    expect((await ask(url, path, { method: "POST" })).status).toBe(403);
    expect((await ask(url, path.replace("GET", "POST"), { method: "POST" })).status).toBe(403);
    expect((await ask(url, path.replace(/expires=\d+/, "expires=99999999999"))).status).toBe(403);
    expect((await ask(url, new UrlSigner("other").sign("GET", "/echo/param/a", soon))).status).toBe(403);
  });

  it("ends when its time is up", async () => {
    const { url } = await start((builder) => builder.authToken("token"));
    const path = new UrlSigner("token").sign("GET", "/echo/param/a", new Date(Date.now() - 1000));

    const answer = await ask(url, path);

    expect([answer.status, answer.json.error]).toEqual([403, expect.stringContaining("expired")]);
  });
});
