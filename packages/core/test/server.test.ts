import { afterEach, describe, expect, it } from "@jest/globals";
import { ask, temporaryFolder, until } from "@mikcar/devkit";
import { Validator } from "@seriousme/openapi-schema-validator";
import express from "express";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { MikcarError, openApi, SidecarBuilder, sidecarRouter } from "../src/index.ts";
import { echoBackend, EchoService, keptLog, serveEcho } from "./echo.ts";

const ends: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
const start: typeof serveEcho = async (...args) => {
  const server = await serveEcho(...args);
  ends.push(() => server.close());
  return server;
};
function folder(): string {
  const { path, remove } = temporaryFolder();
  ends.push(remove);
  return path;
}

describe("readiness", () => {
  it("is 200 with every backend's state when all answer", async () => {
    const { url } = await start();

    const answer = await ask(url, "/ready");

    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      status: "ready",
      services: { echo: { status: "up", backend: "custom", latency_ms: expect.any(Number) } },
    });
  });

  it("is 503 when a backend fails, without its words", async () => {
    const backend = { ...echoBackend(), ping: () => Promise.reject(new Error("secret-of-the-backend")) };
    const { url } = await start(undefined, backend);

    const answer = await ask(url, "/ready");

    expect([answer.status, answer.json.status, answer.json.services.echo.status]).toEqual([503, "unready", "down"]);
    expect(answer.text).not.toContain("secret-of-the-backend");
  });

  it.each([
    ["BAD_GATEWAY", /refuses the sidecar: look at the URL, the credentials/],
    ["UNAVAILABLE", /does not answer: look at its address/],
  ] as const)("says what to look at after %s, and logs its words once", async (code, advice) => {
    let failure: Error | undefined = new MikcarError(code, "10.0.0.7 said no");
    let pings = 0;
    const ping = async (): Promise<void> => {
      pings += 1;
      if (failure !== undefined) throw failure;
    };
    const backend = { ...echoBackend(), ping };
    const { url, logged } = await start(undefined, backend);

    const answer = await ask(url, "/ready");
    await until("it is asked again", async () => (await ask(url, "/ready")).status === 503 && pings > 1);
    failure = undefined;
    await until("it is ready", async () => (await ask(url, "/ready")).status === 200);

    expect(answer.json.services.echo.error).toMatch(advice);
    expect(answer.text).not.toContain("10.0.0.7");
    expect(
      logged.filter((line) => line.includes('"msg":"the backend is down"') && line.includes("10.0.0.7")),
    ).toHaveLength(1);
    expect(logged.filter((line) => line.includes("the backend answers again"))).toHaveLength(1);
  });

  it("asks each backend once, however many callers there are, and gives it two seconds", async () => {
    let pings = 0;
    const never = new Promise<void>(() => undefined);
    const backend = { ...echoBackend(), ping: () => (pings++, never) };
    const { url } = await start(undefined, backend);

    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(url, "/ready")));

    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(503));
    expect(pings).toBe(1);
  });
});

describe("the document", () => {
  it("is valid OpenAPI 3.1 and has exactly the routes that are served", async () => {
    const { url } = await start();

    const document = (await ask(url, "/openapi.json")).json;

    expect(await new Validator().validate(document)).toEqual({ valid: true });
    const served = EchoService.routes.map(([method, path]) => `${method} /echo${path.replace(/[:*](\w+)/, "{$1}")}`);
    const own = ["/health", "/ready", "/metrics", "/openapi.json", "/docs"].map((path) => `GET ${path}`);
    const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual([...served, ...own].sort());
  });

  it("names each operation once", () => {
    const document = openApi([EchoService.fromBackend(echoBackend())], "1.0.0");

    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map((one) => one.operationId),
    );

    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is a page as well, with every route and no script", async () => {
    const { url } = await start();

    const page = await ask(url, "/docs");

    expect(page.headers["content-type"]).toMatch(/^text\/html/);
    expect(page.text).toContain("/echo/json");
    expect(page.text).not.toContain("<script");
  });
});

describe("a builder", () => {
  it("refuses two sidecars of one name", () => {
    const builder = new SidecarBuilder().add(EchoService.fromBackend(echoBackend()));

    expect(() => builder.add(EchoService.fromBackend(echoBackend()))).toThrow(/two sidecars are named "echo"/);
  });

  it("says what to do when the port is in use", async () => {
    const { url } = await start();
    const port = Number(new URL(url).port);

    await expect(serveEcho((builder) => builder.port(port))).rejects.toThrow(
      /port \d+ on 127.0.0.1 is already in use; .*--port/,
    );
  });

  it("serves an application's own middleware behind the token", async () => {
    const own = express.Router().get("/own", (_request, response) => void response.send("mine"));
    const { url } = await start((builder) => builder.authToken("token").use(own as never)); // Express widens the types

    expect((await ask(url, "/own")).status).toBe(401);
    expect((await ask(url, "/own", { headers: { Authorization: "Bearer token" } })).text).toBe("mine");
  });

  it("listens on a socket instead of TCP, or beside it", async () => {
    const path = join(folder(), "sidecar.sock");
    const log = await keptLog([]);
    const alone = await new SidecarBuilder().socket(path).log(log).add(EchoService.fromBackend(echoBackend())).serve();

    const answer = await ask("http://any.name", "/echo/param/a", { socketPath: path, headers: { Host: "any.name" } });
    const mode = statSync(path).mode & 0o777;
    await alone.close();
    const both = await start((builder) => builder.socket(path));

    expect([alone.url, answer.text, mode]).toEqual([undefined, "a", 0o600]);
    expect((await ask(both.url, "/echo/param/b")).text).toBe("b");
    expect((await ask("http://x", "/echo/param/b", { socketPath: path })).text).toBe("b");
  });

  it("takes over a socket file that nobody listens on, and leaves any other alone", async () => {
    const path = join(folder(), "sidecar.sock");
    const first = await start((builder) => builder.socket(path));
    const plain = join(folder(), "file");
    writeFileSync(plain, "precious");

    await expect(serveEcho((builder) => builder.socket(path))).rejects.toThrow(/another program listens on/);
    await expect(serveEcho((builder) => builder.socket(plain))).rejects.toThrow(/is there and is no socket/);
    await first.close();

    expect(readFileSync(plain, "utf8")).toBe("precious");
  });
});

describe("a sidecar inside an Express application", () => {
  it("answers its routes under the mount path and passes the rest on", async () => {
    const app = express();
    app.use("/side", (await sidecarRouter(EchoService.fromBackend(echoBackend()))) as never); // Express widens the types
    app.get("/side/other", (_request, response) => void response.send("the application's"));
    const server = createServer(app).listen(0, "127.0.0.1");
    ends.push(() => new Promise((resolve) => server.close(resolve)));
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const found = await ask(url, "/side/param/a%2Fb");
    const refused = await ask(url, "/side/json", { method: "POST", body: "{}" });
    const passed = await ask(url, "/side/other");

    expect([found.status, found.text]).toEqual([200, "a/b"]);
    expect([refused.status, refused.json.code]).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(passed.text).toBe("the application's");
  });

  it("asks for a token of its own when it has one", async () => {
    const app = express();
    const sidecar = EchoService.fromBackend(echoBackend());
    app.use((await sidecarRouter(sidecar, { authToken: "token", log: await keptLog([]) })) as never); // as above
    const server = createServer(app).listen(0, "127.0.0.1");
    ends.push(() => new Promise((resolve) => server.close(resolve)));
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    expect((await ask(url, "/param/a")).status).toBe(401);
    expect((await ask(url, "/param/a", { headers: { Authorization: "Bearer token" } })).text).toBe("a");
  });

  it("signs URLs below the application's mount path", async () => {
    const app = express();
    const sidecar = EchoService.fromBackend(echoBackend());
    app.use("/files", (await sidecarRouter(sidecar, { authToken: "token", log: await keptLog([]) })) as never); // as above
    const server = createServer(app).listen(0, "127.0.0.1");
    ends.push(() => new Promise((resolve) => server.close(resolve)));
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const headers = { Authorization: "Bearer token" };

    const signed: string = (await ask(url, "/files/sign?name=a%20b", { headers })).json.url;

    expect(signed).toContain("/files/read/a%20b?");
    expect((await ask(url, signed.slice(url.length))).text).toBe("read");
    expect((await ask(url, signed.slice(url.length).replace("a%20b", "c"))).status).toBe(403);
  });
});
