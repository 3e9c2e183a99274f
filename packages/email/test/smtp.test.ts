/** The mail server as a server of the tests, in all the ways it is reached. */

import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { LOCALHOST, temporaryFolder } from "@mikcar/devkit";
import type { SMTPServerOptions } from "smtp-server";
import type { EmailBackend } from "../src/backend.ts";
import { open } from "../src/backends/smtp/index.ts";
import { type Client, HELLO, serve } from "./client.ts";
import { emailContract } from "./contract.ts";
import { type MailServer, startMailServer, TEST_LOGIN } from "./mail-server.ts";

const folder = temporaryFolder();
const CA = `${folder.path}/ca.pem`;
writeFileSync(CA, LOCALHOST.authority);
const { user, pass } = TEST_LOGIN;

const servers: MailServer[] = [];
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => folder.remove());

async function start(options?: SMTPServerOptions): Promise<MailServer> {
  const server = await startMailServer(options);
  servers.push(server);
  return server;
}

async function reach(url: string): Promise<Client> {
  const client = await serve(await open(configUrl(url)));
  clients.push(client);
  return client;
}

describe("over a plain connection", () => {
  let server: MailServer;
  beforeAll(async () => {
    server = await startMailServer();
  });
  afterAll(() => server.stop());

  emailContract("smtp", {
    open: (): Promise<EmailBackend> => open(configUrl(`smtp://127.0.0.1:${server.port}?starttls=false`)),
    arrived: async (id) => server.received.find(({ mail }) => mail.messageId === `<${id}>`),
    count: async () => server.received.length,
  });
});

describe("security", () => {
  it("turns to TLS with STARTTLS, and logs in with a literal : and % and @ in the password", async () => {
    const server = await start({ hideSTARTTLS: false, authOptional: false });
    const client = await reach(`smtp://${user}:${pass}@localhost:${server.port}?ca=${CA}`);

    expect((await client.send(HELLO)).status).toBe(200);
    expect(server.received.map(({ isSecure }) => isSecure)).toEqual([true]);
  });

  it("speaks TLS from the first byte on with smtps, and reads an encoded login", async () => {
    const server = await start({ secure: true, authOptional: false });
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(pass)}`;
    const client = await reach(`smtps://${login}@localhost:${server.port}?ca=${CA}`);

    expect((await client.send(HELLO)).status).toBe(200);
    expect(server.received.map(({ isSecure }) => isSecure)).toEqual([true]);
  });

  it.each([
    ["smtp", { hideSTARTTLS: false }, "localhost", ""],
    ["smtps", { secure: true }, "localhost", ""],
    ["smtps", { secure: true }, "127.0.0.1", `?ca=${CA}`],
  ])("refuses a certificate that is not to be trusted: %s %# %s", async (scheme, options, host, query) => {
    const server = await start(options);
    const client = await reach(`${scheme}://${user}:${pass}@${host}:${server.port}${query}`);

    const { status, json } = await client.send(HELLO);

    expect([status, json.success, json.code]).toEqual([502, false, "BAD_GATEWAY"]);
    expect(json.error).toContain("certificate");
    expect(server.received).toEqual([]);
  });

  it("sends nothing where the server has no STARTTLS", async () => {
    const server = await start({ disabledCommands: ["STARTTLS"] });
    const client = await reach(`smtp://localhost:${server.port}`);

    const { status, json } = await client.send(HELLO);

    expect([status, json.error]).toEqual([502, expect.stringContaining("STARTTLS")]);
    expect(server.received).toEqual([]);
  });

  it("says 502 when the login is refused, once for all who wait, and shows it nowhere", async () => {
    const server = await start({ hideSTARTTLS: false, authOptional: false });
    const client = await reach(`smtp://wrong-user:marked-pass@localhost:${server.port}?ca=${CA}&connections=2`);

    const { json } = await client.post("/send/batch", { emails: Array.from({ length: 30 }, () => HELLO) });
    const one = await client.send(HELLO);

    expect([json.sent, json.failed, json.results[29].smtp_code]).toEqual([0, 30, 535]);
    expect(one.json).toEqual({
      success: false,
      error: "the mail server refuses the login of this sidecar",
      code: "BAD_GATEWAY",
      status: 502,
      smtp_code: 535,
    });
    expect(server.connections()).toBeLessThanOrEqual(3);
    expect(client.log() + one.text).not.toMatch(/marked-pass|bWFya2VkLXBhc3/);
    expect(client.log()).toContain('"code":"BAD_GATEWAY"');
  });

  it("never goes on as nobody where the server knows no login", async () => {
    const server = await start({ disabledCommands: ["AUTH", "STARTTLS"] });
    const client = await reach(`smtp://${user}:${pass}@localhost:${server.port}?starttls=false`);

    expect((await client.send(HELLO)).status).toBe(502);
    expect(server.received).toEqual([]);
  });
});

describe("refusals", () => {
  const plain = async (options?: SMTPServerOptions): Promise<[Client, MailServer]> => {
    const server = await start(options);
    return [await reach(`smtp://127.0.0.1:${server.port}?starttls=false`), server];
  };

  it.each([{ hidePIPELINING: false }, { hidePIPELINING: true }])("tells recipients apart: %j", async (options) => {
    const [client, server] = await plain(options);

    const { status, json } = await client.send({
      ...HELLO,
      to: ["refused550@x.example", "bob@x.example"],
      bcc: ["refused451@x.example"],
    });

    expect([status, json]).toEqual([
      200,
      {
        id: expect.any(String),
        success: true,
        rejected: [
          { address: "refused550@x.example", smtp_code: 550 },
          { address: "refused451@x.example", smtp_code: 451 },
        ],
      },
    ]);
    expect(server.received[0]?.recipients).toEqual(["bob@x.example"]);
  });

  it("says 502 with the server's code when all are refused, and not with its words", async () => {
    const [client] = await plain();

    const { status, json, text } = await client.send({
      ...HELLO,
      to: ["refused550@x.example", "refused553@x.example"],
    });

    expect([status, json]).toEqual([
      502,
      {
        success: false,
        error: "the mail server refuses every recipient",
        code: "BAD_GATEWAY",
        status: 502,
        smtp_code: 553,
        rejected: [
          { address: "refused550@x.example", smtp_code: 550 },
          { address: "refused553@x.example", smtp_code: 553 },
        ],
      },
    ]);
    expect(text).not.toContain("is not for here");
    expect(client.log()).toContain("is not for here");
  });

  it("says 503 when it may be tried again, and sends the next over the same connection", async () => {
    const [client, server] = await plain();

    const { status, json, headers } = await client.send({
      ...HELLO,
      to: ["refused451@x.example", "refused550@x.example"],
    });
    const next = await client.send(HELLO);

    expect([status, json.success, json.code, json.smtp_code]).toEqual([503, false, "UNAVAILABLE", 451]);
    expect(headers["retry-after"]).toBe("60");
    expect([next.status, server.connections()]).toEqual([200, 1]);
  });

  it("says 502 when the message is refused at its end, and forgets its idempotency key", async () => {
    let isRefused = true;
    const [client] = await plain({
      onData: (stream, _session, done) => {
        stream.resume();
        stream.on("end", () =>
          done(isRefused ? Object.assign(new Error("spam: Hi Bob"), { responseCode: 554 }) : null),
        );
      },
    });
    const headers = { "Idempotency-Key": "k" };

    const first = await client.send(HELLO, headers);
    isRefused = false;
    const second = await client.send(HELLO, headers);

    expect([first.status, first.json.smtp_code, second.status]).toEqual([502, 554, 200]);
  });

  it("says 502 when the message is larger than the server takes", async () => {
    const [client] = await plain({ size: 1000 });

    const { status, json } = await client.send({ ...HELLO, text: "x".repeat(2000) });

    expect([status, json.error]).toEqual([502, "the message is larger than the mail server takes"]);
  });

  it("has no outbox", async () => {
    const [client] = await plain();

    const answers = [await client.get("/outbox"), await client.get("/outbox/a"), await client.delete("/outbox")];

    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [501, "UNSUPPORTED"]));
  });
});
