/** A mail server that is away, silent, or leaves in the middle. */

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { writeFileSync } from "node:fs";
import { afterEach, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, freePort, LOCALHOST, runProgram, temporaryFolder, until } from "@mikcar/devkit";
import { open } from "../src/backends/smtp/index.ts";
import { type Client, HELLO, serve } from "./client.ts";
import { type MailServer, startMailServer } from "./mail-server.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function mailServer(options?: Parameters<typeof startMailServer>[0]): Promise<MailServer> {
  const server = await startMailServer(options);
  ends.push(() => server.stop());
  return server;
}

async function reach(port: number, query = ""): Promise<Client> {
  const client = await serve(await open(configUrl(`smtp://127.0.0.1:${port}?starttls=false${query}`)));
  ends.push(() => client.close());
  return client;
}

/** Not a mail server: only what a test has it say. */
async function liar(talk: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    talk(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port; // it listens on TCP
}

/** Answers each line as a mail server does, until it is asked what `last` says. */
function script(last: RegExp, ending: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    socket.write("220 liar\r\n");
    socket.on("data", (chunk: Buffer) => {
      const line = chunk.toString();
      if (last.test(line)) ending(socket);
      else socket.write(line.startsWith("DATA") ? "354 go on\r\n" : "250 fine\r\n");
    });
  };
}

it("says 503 while the server is away, all who wait at once, and sends when it is back", async () => {
  const server = await mailServer();
  const client = await reach(server.port);
  await server.stop();

  const away = await client.send(HELLO);
  const batch = await client.post("/send/batch", { emails: Array.from({ length: 100 }, () => HELLO) });
  await server.start();
  const back = await client.send(HELLO);

  expect([away.status, away.json]).toEqual([
    503,
    { success: false, error: expect.stringContaining("does not answer"), code: "UNAVAILABLE", status: 503 },
  ]);
  expect(away.headers["retry-after"]).toBe("1");
  expect(away.text).not.toMatch(/127\.0\.0\.1|ECONN/);
  expect(client.log()).toContain("ECONNREFUSED");
  expect([batch.json.failed, batch.json.results[99].status]).toEqual([100, 503]);
  expect(back.status).toBe(200);
});

it("sends over a new connection what it could not send over one that the server has ended", async () => {
  const server = await mailServer();
  const client = await reach(server.port);
  await client.send(HELLO);
  await server.stop();
  await server.start();

  const answers = await Promise.all(Array.from({ length: 8 }, () => client.send(HELLO)));

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(server.received.length).toBe(9);
});

it.each([
  ["no greeting", () => undefined],
  ["no reply to EHLO", script(/EHLO/, () => undefined)],
  ["no reply to the message", script(/\r\n\.\r\n$/, () => undefined)],
])("says 503 in time when there is %s, to everybody who waits", async (_name, talk) => {
  const client = await reach(await liar(talk), "&timeout_ms=300&connections=2");
  const begin = performance.now();

  const { status, json } = await client.send(HELLO);
  const batch = await client.post("/send/batch", { emails: Array.from({ length: 6 }, () => HELLO) });

  expect([status, json.success, json.code]).toEqual([503, false, "UNAVAILABLE"]);
  expect(batch.json.failed).toBe(6);
  expect(performance.now() - begin).toBeLessThan(5000);
});

it.each([
  ["a greeting of 421", (socket: Socket) => socket.end("421 busy\r\n"), 503, 421],
  ["a greeting of 554", (socket: Socket) => socket.end("554 go away\r\n"), 502, 554],
  ["421 in place of a reply", script(/MAIL/, (socket) => socket.end("421 closing\r\n")), 503, 421],
  ["an end before the greeting", (socket: Socket) => socket.end(), 503, undefined],
  ["an end in the middle", script(/DATA/, (socket) => socket.destroy()), 503, undefined],
  ["an end after the message", script(/\r\n\.\r\n$/, (socket) => socket.destroy()), 503, undefined],
  ["no SMTP at all", (socket: Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"), 503, undefined],
])("answers to %s", async (_name, talk, status, code) => {
  const client = await reach(await liar(talk), "&timeout_ms=2000");

  const answer = await client.send(HELLO);

  expect([answer.status, answer.json.smtp_code, answer.json.success]).toEqual([status, code, false]);
});

it("does not send twice what the server may have taken before it left", async () => {
  let messages = 0;
  const port = await liar(
    script(/\r\n\.\r\n$/, (socket) => {
      messages++;
      if (messages === 1) socket.write("250 taken\r\n");
      else socket.destroy();
    }),
  );
  const client = await reach(port);

  expect((await client.send(HELLO)).status).toBe(200);
  expect((await client.send(HELLO)).status).toBe(503);
  expect(messages).toBe(2);
});

it("sends a batch over several connections at once, and no more than it may", async () => {
  let now = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  const server = await mailServer({
    onData: (stream, _session, done) => {
      most = Math.max(most, ++now);
      stream.resume();
      stream.on("end", () => {
        const finish = (): void => {
          now--;
          done();
        };
        // Nobody is answered before three are there: one connection alone would wait for ever.
        waiting.push(finish);
        if (waiting.length >= 3) for (const end of waiting.splice(0)) end();
      });
    },
  });
  const client = await reach(server.port, "&connections=3");

  const { json } = await client.post("/send/batch", { emails: Array.from({ length: 30 }, () => HELLO) });

  expect([json.sent, most, server.connections()]).toEqual([30, 3, 3]);
});

it("one message that the server cuts off fails alone", async () => {
  const server = await mailServer({
    onMailFrom: ({ address }, _session, done) => {
      if (!address.startsWith("cut")) return done();
      return done(Object.assign(new Error("closing"), { responseCode: 421 }));
    },
  });
  const client = await reach(server.port, "&connections=1");

  const { json } = await client.post("/send/batch", {
    emails: [HELLO, { ...HELLO, from: "cut@example.org" }, HELLO, HELLO],
  });

  expect(json.results.map(({ success }: { success: boolean }) => success)).toEqual([true, false, true, true]);
});

it("goes on sending when its client has left", async () => {
  const arrived = Promise.withResolvers<() => void>();
  let isDone = false;
  const server = await mailServer({
    onData: (stream, _session, done) => {
      stream.resume();
      stream.on("end", () =>
        arrived.resolve(() => {
          isDone = true;
          done();
        }),
      );
    },
  });
  const client = await reach(server.port);
  const leaving = new AbortController();
  const headers = { "Content-Type": "application/json", "Idempotency-Key": "left" };
  const body = JSON.stringify(HELLO);
  const lost = ask(client.url, "/email/send", { method: "POST", headers, body, signal: leaving.signal });
  const release = await arrived.promise;

  leaving.abort();
  await expect(lost).rejects.toThrow();
  const again = client.send(HELLO, headers);
  release();

  expect([(await again).status, isDone, server.connections()]).toEqual([200, true, 1]);
});

it("pings with a login, and tells when the server is away", async () => {
  const server = await mailServer();
  const client = await reach(server.port);
  const there = await ask(client.url, "/ready");

  const other = await reach(await freePort());
  const away = await ask(other.url, "/ready");

  expect([there.status, away.status]).toEqual([200, 503]);
});

it("finishes what it sends before it closes", async () => {
  const server = await mailServer();
  const backend = await open(configUrl(`smtp://127.0.0.1:${server.port}?starttls=false&connections=1`));
  const raw = Buffer.from("Subject: s\r\n\r\nt\r\n");
  const sending = [1, 2, 3].map(() => backend.send({ id: "a@b", sender: "a@b.c", recipients: ["x@y.z"], raw }));

  await backend.close();

  await expect(Promise.all(sending)).resolves.toEqual([[], [], []]);
  await until("the connections are gone", () => server.received.length === 3);
});

it.each(["smtp", "smtps"])("lets the process end while connections of %s are open", async (scheme) => {
  const folder = temporaryFolder();
  ends.push(async () => folder.remove());
  writeFileSync(`${folder.path}/ca.pem`, LOCALHOST.authority);
  const server = await mailServer({ secure: scheme === "smtps" });
  const query = scheme === "smtps" ? `ca=${folder.path}/ca.pem` : "starttls=false";
  const backend = fileURLToPath(new URL("../src/backends/smtp/index.ts", import.meta.url));
  const core = fileURLToPath(new URL("../../core/dist/index.js", import.meta.url));
  writeFileSync(
    `${folder.path}/program.mjs`,
    `import { configUrl } from "${core}";
     import { open } from "${backend}";
     const backend = await open(configUrl("${scheme}://localhost:${server.port}?${query}&timeout_ms=600000"));
     const raw = Buffer.from("Subject: s\\r\\n\\r\\nt\\r\\n");
     await backend.send({ id: "a@b", sender: "a@b.c", recipients: ["x@y.z"], raw });
     console.log("sent");`,
  );

  expect(await runProgram(`${folder.path}/program.mjs`)).toMatchObject({ code: 0, stdout: "sent\n" });
});
