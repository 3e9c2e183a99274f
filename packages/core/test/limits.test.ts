import { afterEach, describe, expect, it } from "@jest/globals";
import { ask, until } from "@mikcar/devkit";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { serveEcho } from "./echo.ts";

type Echo = Awaited<ReturnType<typeof serveEcho>>;
const servers: Echo[] = [];
const sockets: Socket[] = [];
async function start(...args: Parameters<typeof serveEcho>): Promise<Echo> {
  const server = await serveEcho(...args);
  servers.push(server);
  return server;
}
/** A raw connection: what a client writes byte for byte, and all that comes back. */
async function raw({ url }: Echo, text: string): Promise<Socket & { received: string }> {
  const { hostname, port } = new URL(url);
  const socket = Object.assign(connect(Number(port), hostname), { received: "" });
  sockets.push(socket);
  socket.on("data", (chunk: Buffer) => (socket.received += chunk));
  socket.on("error", (error) => (socket.received += `<${error.message}>`));
  await once(socket, "connect");
  socket.write(text);
  return socket;
}
const head = (line: string, headers = ""): string => `${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
});

describe("a call that takes too long", () => {
  it("is answered 408 while its work is cancelled, and the connection lives on", async () => {
    const server = await start((builder) => builder.timeoutMs(100));

    const socket = await raw(server, head("GET /echo/wait"));
    await until("the answer came", () => socket.received.includes('"status":408'));
    socket.write(head("GET /echo/param/again"));
    await until("the next answer came", () => socket.received.endsWith("again"));

    expect(server.echo.events).toEqual(["started", "aborted"]);
    expect(socket.received).toContain('"code":"TIMEOUT"');
  });

  it("is 408 as well when its body does not arrive", async () => {
    const server = await start((builder) => builder.timeoutMs(100));

    const socket = await raw(server, head("POST /echo/bytes", "Content-Length: 5\r\n") + "ab");

    await until("the answer came", () => socket.received.includes('"status":408'));
  });

  it("may take longer when its stream makes progress", async () => {
    const server = await start((builder) => builder.timeoutMs(200));
    let pauses = 0;
    async function* slowly(): AsyncGenerator<Buffer> {
      const end = performance.now() + 500;
      while (performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        pauses++;
        yield Buffer.from("x");
      }
    }

    const answer = await ask(server.url, "/echo/stream", { method: "PUT", body: slowly() });

    expect(answer.json).toEqual({ size: pauses });
  });

  it("closes the source of each answer whose client leaves in the middle of it", async () => {
    const server = await start((builder) => builder);
    const LEAVES = 60;

    for (let leave = 0; leave < LEAVES; leave++) {
      const socket = await raw(server, "");
      socket.once("data", () => socket.destroy());
      socket.write(head("GET /echo/many/1000"));
    }

    const closed = (): number => server.echo.events.filter((event) => event === "stream closed").length;
    await until("all are closed", () => closed() === LEAVES);
    expect(server.logged.filter((line) => line.includes('"error"'))).toEqual([]);
  });

  it("is cut off when its client stops reading the answer", async () => {
    const server = await start((builder) => builder.timeoutMs(100));

    const socket = await raw(server, "");
    socket.pause();
    socket.write(head("GET /echo/many/1000"));
    await until("the source was closed", () => server.echo.events.includes("stream closed"));
    socket.resume();
    await until("the connection is gone", () => socket.closed);

    expect(socket.received.length).toBeLessThan(1000 * 65_536);
  });
});

describe("a client", () => {
  it("that goes away cancels its call", async () => {
    const server = await start();
    const socket = await raw(server, head("GET /echo/wait"));
    await until("the call began", () => server.echo.events.includes("started"));

    socket.destroy();

    await until("the call was cancelled", () => server.echo.events.includes("aborted"));
  });

  it("that goes away in the middle of its upload leaves the server well", async () => {
    const server = await start();
    const socket = await raw(server, head("PUT /echo/stream", "Content-Length: 1000\r\n") + "part");

    socket.destroy();

    expect((await ask(server.url, "/echo/param/a")).text).toBe("a");
  });

  it("that sends neither length nor chunks has an empty body", async () => {
    const server = await start();

    const bytes = await raw(server, head("POST /echo/bytes"));
    const nothing = await raw(server, head("POST /echo/nothing"));

    await until(
      "both answers came",
      () => bytes.received.includes("Content-Length: 0") && nothing.received.endsWith('{"done":true}'),
    );
  });

  it("whose empty chunked body ends late is answered at once by a route without a body", async () => {
    const server = await start();

    const socket = await raw(server, head("POST /echo/nothing", "Transfer-Encoding: chunked\r\n"));
    await until("the answer came", () => socket.received.endsWith('{"done":true}'));
    socket.write(`0\r\n\r\n${head("GET /echo/param/next")}`);

    await until("the connection went on", () => socket.received.endsWith("next"));
  });

  it.each([
    ["401", "Authorization: Bearer no\r\n", "/echo/bytes"],
    ["413", "Authorization: Bearer token\r\n", "/echo/bytes"],
    ["415", "Authorization: Bearer token\r\n", "/echo/json"],
    ["404", "Authorization: Bearer token\r\n", "/nowhere"],
  ])(
    "that is refused early with %s can send its whole body and read the answer",
    async (status, authorization, path) => {
      const server = await start((builder) => builder.authToken("token").maxBodyBytes(1000));
      const size = 30_000_000;

      const socket = await raw(
        server,
        head(`POST ${path}`, `${authorization}Connection: close\r\nContent-Length: ${size}\r\n`),
      );
      for (let sent = 0; sent < size; sent += 1_000_000) {
        if (!socket.write(Buffer.alloc(1_000_000))) await Promise.race([once(socket, "drain"), once(socket, "close")]);
      }
      await until("the server closed in order", () => socket.readableEnded);

      expect(socket.received).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(socket.received).not.toContain("<");
    },
  );

  it("that asks before it sends is told to go on, or refused before it has sent", async () => {
    const server = await start((builder) => builder.maxBodyBytes(1000));
    const expecting = "Expect: 100-continue\r\n";

    const fine = await raw(server, head("POST /echo/bytes", `${expecting}Content-Length: 3\r\n`));
    await until("it was told", () => fine.received.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
    fine.write("abc");
    const refused = await raw(server, head("POST /echo/bytes", `${expecting}Content-Length: 5000\r\n`));

    await until("the answer came", () => fine.received.endsWith("abc"));
    await until(
      "the refusal came",
      () => refused.received.includes("Connection: close") && refused.received.includes("413"),
    );
  });

  it("with an expectation that nobody knows is answered all the same", async () => {
    const server = await start();

    expect((await ask(server.url, "/echo/param/a", { headers: { Expect: "coffee" } })).text).toBe("a");
  });

  it.each([
    ["no HTTP at all", "HELLO\r\n\r\n", 400],
    ["no Host", "GET /echo/param/a HTTP/1.1\r\n\r\n", 400],
    ["a chunk that is none", head("POST /echo/bytes", "Transfer-Encoding: chunked\r\n") + "ZZ\r\n", 400],
    ["headers of 20 KiB", head("GET /health", `X-Long: ${"x".repeat(20_000)}\r\n`), 400],
    ["a request to be a proxy", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400],
  ])("that sends %s is answered in JSON", async (_what, text, status) => {
    const server = await start();

    const socket = await raw(server, text);

    await until("the answer came", () => socket.received.includes(`"status":${status}`));
    expect(socket.received).toMatch(/^X-Trace-Id: [\da-f]{32}\r$/m);
  });

  it("that stops in the middle of its headers is told so after the time of a request", async () => {
    const server = await start((builder) => builder.timeoutMs(100));

    const socket = await raw(server, "GET /health HTTP/1.1\r\nHost: localhost\r\n");

    await until("the answer came", () => socket.received.includes('"status":408'));
  });

  it("that sends nonsense behind a call does not get an error in the place of its answer", async () => {
    const server = await start();

    const socket = await raw(server, `${head("GET /echo/wait")}NONSENSE\r\n\r\n`);
    await until("the connection is gone", () => socket.closed);

    expect(socket.received).toBe("");
  });
});

describe("an end", () => {
  it("lets an open call finish, refuses new connections, and closes the backends", async () => {
    let isClosed = false;
    const backend = { events: [], ping: async () => undefined, close: async () => void (isClosed = true) };
    const server = await start(undefined, backend);
    const socket = await raw(server, head("POST /echo/bytes", "Content-Length: 2\r\n") + "a");
    await until("the call is open", () => socket.bytesWritten > 0);
    await ask(server.url, "/health");

    const closed = server.close();
    await until("it accepts no more", () =>
      ask(server.url, "/health").then(
        () => false,
        () => true,
      ),
    );
    socket.write("b");
    await closed;

    await until("the answer came", () => socket.received.endsWith("ab"));
    expect(socket.received).toContain("Connection: close");
    expect(isClosed).toBe(true);
  });

  it("comes when the drain time is over, even if a call does not end", async () => {
    const server = await start((builder) => builder.drainMs(50));
    const socket = await raw(server, head("GET /echo/wait"));
    await until("the call began", () => server.echo.events.includes("started"));

    await server.close();

    await until("its client was told", () => socket.received.includes('"status":408'));
    expect(server.echo.events).toEqual(["started", "aborted"]);
  });
});
