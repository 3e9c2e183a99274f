/** A mail server of somebody else's, as a program of its own: what has arrived is what its inbox says. */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask } from "@mikcar/devkit";
import { type MaildevServer, startMaildev } from "@mikcar/devkit/maildev";
import { open } from "../src/backends/smtp/index.ts";
import { type Client, HELLO, serve } from "./client.ts";
import { TEST_LOGIN } from "./mail-server.ts";

const { user, pass } = TEST_LOGIN;
let server: MaildevServer;
let client: Client;
beforeAll(async () => {
  server = await startMaildev(TEST_LOGIN);
  client = await serve(await open(configUrl(`smtp://${user}:${pass}@${server.host}:${server.port}?starttls=false`)));
}, 300_000);
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

it("takes a batch, each email as it was written", async () => {
  const email = {
    from: "Çağla <cagla@example.org>",
    to: ["Bob <bob@example.com>"],
    bcc: ["eve@example.com"],
    subject: "Grüße aus 東京 🗼",
    text: "Hi\n.\n",
    html: "<p>Grüße</p>",
    headers: { "X-Campaign": "spring" },
    attachments: [{ filename: "ünï.txt", content: "aGk=" }],
  };

  const { json } = await client.post("/send/batch", { emails: [email, HELLO, HELLO] });
  const inbox = (await ask(server.apiUrl, "/api/email")).json;

  expect([json.sent, json.failed, inbox.length]).toEqual([3, 0, 3]);
  const messageId = `<${json.results[0].id}>`;
  const found = inbox.find(({ headers }: { headers: Record<string, string> }) => headers["message-id"] === messageId);
  expect(found).toMatchObject({
    from: [{ name: "Çağla", address: "cagla@example.org" }],
    to: [{ name: "Bob", address: "bob@example.com" }],
    calculatedBcc: [{ address: "eve@example.com" }],
    headers: { "x-campaign": "spring" },
    attachments: [{ filename: "ünï.txt", size: 2 }],
    subject: email.subject,
    text: email.text,
    html: email.html,
  });
});

it("refuses another login", async () => {
  const other = await serve(await open(configUrl(`smtp://${user}:wrong@${server.host}:${server.port}?starttls=false`)));

  const { status, json } = await other.send(HELLO);

  await other.close();
  expect([status, json.smtp_code]).toEqual([502, 535]);
});
