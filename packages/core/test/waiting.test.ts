import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { ask, until } from "@mikcar/devkit";
import { eventReply } from "../src/index.ts";
import { serveEcho } from "./echo.ts";

type Echo = Awaited<ReturnType<typeof serveEcho>>;
const servers: Echo[] = [];
const sockets: Socket[] = [];

async function start(...args: Parameters<typeof serveEcho>): Promise<Echo> {
  const server = await serveEcho(...args);
  servers.push(server);
  return server;
}

/** A client that asks for `path` and then reads only when it is told to. */
async function request({ url }: Echo, path: string): Promise<Socket & { received: string }> {
  const { hostname, port } = new URL(url);
  const socket = Object.assign(connect(Number(port), hostname), { received: "" });
  sockets.push(socket);
  socket.on("error", () => undefined); // a reset is what some of these are about
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

function read(socket: Socket & { received: string }): void {
  socket.on("data", (chunk: Buffer) => (socket.received += chunk));
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
});

describe("a call that waits", () => {
  it("outlives the time limit it has extended, and answers when the server drains", async () => {
    const server = await start((builder) => builder.timeoutMs(50));
    const polling = ask(server.url, "/echo/poll");
    await until("it waits", () => server.echo.events.includes("polling"));
    const late = ask(server.url, "/echo/wait");
    expect((await late).status).toBe(408); // by then the poll has waited longer than its limit, too

    await server.close();

    const answer = await polling;
    expect([answer.status, answer.text]).toEqual([200, "nothing came"]);
    expect(server.echo.events).toContain("sent");
  });

  it("is ended when its client leaves, and told that nothing was sent", async () => {
    const server = await start();
    const socket = await request(server, "/echo/poll");
    await until("it waits", () => server.echo.events.includes("polling"));

    socket.destroy();

    await until("it ended", () => server.echo.events.includes("not sent"));
  });
});

describe("the end of an answer", () => {
  it("is told once, when the system has taken it all", async () => {
    const server = await start();

    await ask(server.url, "/echo/told/100");
    await ask(server.url, "/echo/told/1000000");

    await until("both were told", () => server.echo.events.length === 2);
    expect(server.echo.events).toEqual(["sent", "sent"]);
  });

  it("is no success when the client leaves in its midst", async () => {
    const server = await start();
    const socket = await request(server, "/echo/told/64000000");
    await once(socket, "readable");

    socket.resetAndDestroy();

    await until("it was told", () => server.echo.events.length > 0);
    expect(server.echo.events).toEqual(["not sent"]);
  });
});

describe("a stream of events", () => {
  it("may fail while its first piece is still on its way", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    const failing: AsyncIterable<never> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("the broker is away")) }),
    };

    const pieces = (eventReply({ extend: () => undefined }, failing).body as AsyncIterable<Buffer>)[
      Symbol.asyncIterator
    ]();
    const first = await pieces.next();
    await new Promise((resolve) => setImmediate(resolve)); // by then Node has told of it
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);

    expect([first.done, unhandled]).toEqual([false, []]);
    await expect(pieces.next()).rejects.toThrow("the broker is away");
  });

  it("frames each event, and keeps the connection awake past the time limit", async () => {
    const server = await start((builder) => builder.timeoutMs(100));
    const socket = await request(server, "/echo/events");
    read(socket);

    await until("heartbeats came", () => socket.received.split("\n:\n\n").length > 6);

    expect(socket.received).toContain("Content-Type: text/event-stream\r\n");
    expect(socket.received).toContain("data: one\ndata: two\n\nevent: named\nid: 7\ndata: \n\n");
    expect(server.echo.events).toEqual([]);
  });

  it("ends its source when the client leaves, and when the server drains", async () => {
    const server = await start();
    const leaving = await request(server, "/echo/events");
    const staying = await request(server, "/echo/events");
    read(staying);
    await once(leaving, "readable");

    leaving.destroy();
    await until("the first is over", () => server.echo.events.length === 1);
    await until("the second is open", () => staying.received.includes("named"));
    await server.close();

    expect(server.echo.events).toEqual(["events over", "events over"]);
    await until("the answer is whole", () => staying.received.endsWith("0\r\n\r\n"));
  });
});
