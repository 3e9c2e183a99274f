/** The wire, over memory: status, headers and body of every route of the table. */

import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask } from "@mikcar/devkit";
import { open } from "../src/backends/memory.ts";
import { routes } from "../src/routes.ts";
import { EmailService } from "../src/service.ts";
import { type Client, HELLO, serve } from "./client.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

let client: Client;
beforeEach(async () => {
  client = await serve(await open(configUrl("memory:")));
});
afterEach(() => client.close());

const ID = expect.stringMatching(/^[\da-f]{8}-[\da-f-]{27}@example\.org$/);

const tests: Readonly<Record<string, () => void>> = {
  "POST /send": () => {
    it("answers with the id", async () => {
      const { status, headers, json } = await client.send(HELLO);

      expect([status, headers["content-type"], json]).toEqual([200, "application/json", { id: ID, success: true }]);
    });

    it.each([
      ["from", { from: undefined }],
      ["from", { from: 7 }],
      ["from", { from: null }],
      ["to", { to: undefined }],
      ["to", { to: "bob@example.com" }],
      ["to.0", { to: [7] }],
      ["to", { to: Array.from({ length: 1001 }, () => "bob@example.com") }],
      ["cc", { cc: "bob@example.com" }],
      ["bcc.0", { bcc: [null] }],
      ["subject", { subject: undefined }],
      ["subject", { subject: ["a"] }],
      ["subject", { subject: "\ud800" }],
      ["text", { text: 1 }],
      ["text", { text: { path: "/etc/passwd" } }],
      ["html", { html: { href: "http://127.0.0.1/" } }],
      ["reply_to", { reply_to: ["a@b.example"] }],
      ["headers", { headers: [] }],
      ["headers", { headers: JSON.parse('{"__proto__":"x"}') }],
      ["headers.X-A", { headers: { "X-A": 1 } }],
      ["attachments", { attachments: {} }],
      ["headers", { headers: Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`X-H${at}`, "v"])) }],
      ["text", { text: "x".repeat(1_048_577) }],
      ["html", { html: "x".repeat(1_048_577) }],
      ["attachments.0.filename", { attachments: [{ content: "" }] }],
      ["attachments.0.content", { attachments: [{ filename: "a", path: "/etc/passwd" }] }],
      ["attachments.0.content", { attachments: [{ filename: "a", content: "a b=" }] }],
      ["attachments.0.content", { attachments: [{ filename: "a", content: "YQ=\n=" }] }],
      ["attachments.0.content", { attachments: [{ filename: "a", content: "Y" }] }],
    ])("answers 422 naming %s to %#", async (field, change) => {
      const { status, json } = await client.send({ ...HELLO, ...change });

      expect([status, json.code, json.details[0].field]).toEqual([422, "UNPROCESSABLE", field]);
    });

    it.each([
      ["from", { from: "" }],
      ["from", { from: "ada" }],
      ["from", { from: "ada@" }],
      ["from", { from: "@example.org" }],
      ["from", { from: "a b@example.org" }],
      ["from", { from: '"a b"@example.org' }],
      ["from", { from: "ada@[127.0.0.1]" }],
      ["from", { from: `${" ".repeat(1000)}<ada@example.org>` }],
      ["from", { from: "ada@exa mple.org" }],
      ["from", { from: "ada@-a.example" }],
      ["from", { from: "ada@127.0.0.1" }],
      ["from", { from: "a..b@example.org" }],
      ["from", { from: `${"a".repeat(65)}@example.org` }],
      ["from", { from: `a@${"a.".repeat(130)}example` }],
      ["from", { from: "Ada <ada@example.org" }],
      ["from", { from: "Ada, Countess <ada@example.org>" }],
      ["from", { from: "=?utf-8?q?x?= <ada@example.org>" }],
      ["from", { from: "a@b.example, c@d.example" }],
      ["to", { to: [] }],
      ["to.1", { to: ["a@b.example", "a@b.example, c@d.example"] }],
      ["to.0", { to: ["bob@example.com\r\nRCPT TO:<eve@example.com>"] }],
      ["to.0", { to: ["bob@example.com> SIZE=1"] }],
      ["to.0", { to: ["<a@b.example><c@d.example>"] }],
      ["cc.0", { cc: ["Group: a@b.example;"] }],
      ["bcc.0", { bcc: ["Bob\n <bob@example.com>"] }],
      ["reply_to", { reply_to: "x\0@b.example" }],
      ["subject", { subject: "a\r\nBcc: eve@example.com" }],
      ["subject", { subject: "a\tb" }],
      ["subject", { subject: "x".repeat(2001) }],
      ["headers.X-A", { headers: { "X-A": "a\nBcc: eve@example.com" } }],
      ["headers.X-A", { headers: { "X-A": "" } }],
      ["headers.X-A", { headers: { "X-A": "x".repeat(901) } }],
      ["headers.X-A: b", { headers: { "X-A: b": "c" } }],
      ["headers.X A", { headers: { "X A": "c" } }],
      ["headers.", { headers: { "": "c" } }],
      ["headers.References", { headers: { References: "a@b" } }],
      ["headers", { headers: { "X-A": "1", "x-a": "2" } }],
      ["attachments.0.filename", { attachments: [{ filename: "a\r\nb", content: "" }] }],
      ["attachments.0.filename", { attachments: [{ filename: "", content: "" }] }],
      ["attachments.0.content_type", { attachments: [{ filename: "a", content: "", content_type: "text" }] }],
      ["attachments.0.content_type", { attachments: [{ filename: "a", content: "", content_type: "text/x\r\nA: b" }] }],
      [
        "attachments.0.content_type",
        { attachments: [{ filename: "a", content: "", content_type: "multipart/mixed" }] },
      ],
      ["attachments.0.content_type", { attachments: [{ filename: "a", content: "", content_type: "message/rfc822" }] }],
      ["attachments.0.cid", { attachments: [{ filename: "a", content: "", cid: "a>\r\nB: c" }] }],
    ])("answers 400 naming %s to %#", async (field, change) => {
      const { status, json } = await client.send({ ...HELLO, ...change });

      expect([status, json.code]).toEqual([400, "BAD_REQUEST"]);
      expect(json.details.map((detail: { field: string }) => detail.field)).toContain(field);
      expect((await client.get("/outbox")).json.emails).toEqual([]);
    });

    it.each([
      [
        "From",
        "Sender",
        "To",
        "cc",
        "BCC",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
      ],
      ["Content-Foo", "Return-Path", "Received", "DKIM-Signature", "Resent-To", "ARC-Seal", "Authentication-Results"],
    ])("refuses headers that are not the caller's: %s …", async (...names) => {
      const headers = Object.fromEntries(names.map((name) => [name, "x"]));

      const { status, json } = await client.send({ ...HELLO, headers });

      expect(status).toBe(400);
      const fields = json.details.map(({ field }: { field: string }) => field);
      expect(fields).toEqual(names.map((name) => `headers.${name}`));
    });

    it.each(["", "x".repeat(256), "ü"])("refuses the idempotency key %p", async (key) => {
      const header = Buffer.from(key).toString("latin1");

      const { status, json } = await client.send(HELLO, { "Idempotency-Key": header });

      expect([status, json.error]).toEqual([400, expect.stringContaining("Idempotency-Key")]);
    });

    it("answers 415, 400 and 413 to bodies that are none", async () => {
      const type = await client.post("/send", HELLO, { "Content-Type": "text/plain" });
      const json = await client.post("/send", "{");
      const large = await client.send({ ...HELLO, text: "x".repeat(10 * 1024 * 1024) });

      expect([type.status, json.status, large.status]).toEqual([415, 400, 413]);
    });

    it("says nothing of what was sent in its log, even at its most talkative", async () => {
      await client.send({
        ...HELLO,
        subject: "marked-subject",
        text: "marked-text",
        headers: { "X-A": "marked-header" },
      });
      await client.send({ ...HELLO, text: "marked-text", to: ["marked-address"] });

      expect(client.log()).toContain("/email/send");
      expect(client.log()).not.toContain("marked");
    });
  },

  "POST /send/batch": () => {
    it("answers in the order given", async () => {
      const { status, json } = await client.post("/send/batch", { emails: [HELLO, { ...HELLO, from: "ada" }] });

      expect([status, json]).toEqual([
        200,
        {
          sent: 1,
          failed: 1,
          results: [
            { id: ID, success: true },
            {
              success: false,
              error: expect.stringContaining("from"),
              code: "BAD_REQUEST",
              status: 400,
              details: [{ field: "from", message: expect.any(String) }],
            },
          ],
        },
      ]);
    });

    it.each([
      ["{}", 422],
      ["[]", 422],
      ['{"emails":{}}', 422],
      ['{"emails":[]}', 422],
      [JSON.stringify({ emails: Array.from({ length: 101 }, () => HELLO) }), 422],
      ["{", 400],
    ])("refuses the body %#", async (body, status) => {
      expect((await client.post("/send/batch", body)).status).toBe(status);
      expect((await client.get("/outbox")).json.emails).toEqual([]);
    });
  },

  "GET /outbox": () => {
    it("answers with an empty page, and a full one", async () => {
      const empty = await client.get("/outbox");
      await client.post("/send/batch", { emails: Array.from({ length: 60 }, () => HELLO) });
      const full = await client.get("/outbox");

      expect([empty.status, empty.json]).toEqual([200, { emails: [], cursor: null }]);
      expect([full.json.emails.length, full.json.cursor]).toEqual([50, expect.any(String)]);
      expect(full.json.emails[0]).toEqual({
        id: ID,
        date: expect.stringMatching(/^\d{4}-.*Z$/),
        ...HELLO,
        cc: [],
        bcc: [],
        headers: {},
        attachments: [],
        size: expect.any(Number),
      });
    });

    it.each(["limit=0", "limit=201", "limit=x", "cursor=x"])("refuses ?%s by name", async (query) => {
      const { status, json } = await client.get(`/outbox?${query}`);

      expect([status, json.error]).toEqual([400, expect.stringContaining(query.split("=")[0] ?? "")]);
    });
  },

  "GET /outbox/:id": () => {
    it("answers with JSON that no browser takes for a page", async () => {
      const { json } = await client.send({ ...HELLO, html: "<script>alert(1)</script>" });

      const { status, headers, json: found } = await client.get(`/outbox/${json.id}`);

      expect([status, headers["content-type"], found.html]).toEqual([
        200,
        "application/json",
        "<script>alert(1)</script>",
      ]);
    });

    it.each(["nobody", "a%2Fb", "..%2F..%2Fetc%2Fpasswd"])("answers 404 to %s", async (id) => {
      expect((await client.get(`/outbox/${id}`)).json).toMatchObject({ status: 404, code: "NOT_FOUND" });
    });
  },

  "DELETE /outbox": () => {
    it("is not needed to see others beside one whose headers are too large to be read", async () => {
      const to = Array.from({ length: 1000 }, (_, at) => `"${"x".repeat(950)}" <u${at}@example.org>`);
      const cc = Array.from({ length: 200 }, (_, at) => `"${"x".repeat(950)}" <v${at}@example.org>`);
      await client.send({ ...HELLO, to, cc });
      await client.send(HELLO);

      const { status, json } = await client.get("/outbox");

      expect([status, json.emails.length, json.emails[1].to.length]).toEqual([200, 2, 1200]);
      await client.delete("/outbox");
    });

    it("answers with the number", async () => {
      await client.send(HELLO);

      const { status, json } = await client.delete("/outbox");

      expect([status, json]).toEqual([200, { status: "ok", deleted: 1 }]);
    });
  },
};
for (const [route, register] of Object.entries(tests)) describe(route, register);

it("has tests for exactly the routes of the table", () => {
  expect(Object.keys(tests).sort()).toEqual(routes.map(([method, path]) => `${method} ${path}`).sort());
});

it("is documented as it is routed", async () => {
  const { paths } = (await ask(client.url, "/openapi.json")).json;

  for (const [method, path] of routes) {
    const documented = paths[`/email${path.replaceAll(/:(\w+)/g, "{$1}")}`]?.[method.toLowerCase()];
    expect([path, documented?.responses["200"] !== undefined]).toEqual([path, true]);
  }
});

describe("the README", () => {
  it.each(routes.map(([method, path]) => [method, path.replaceAll(/:(\w+)/g, "{$1}")] as const))(
    "has a row for %s %s",
    (method, path) => {
      expect(readme).toMatch(new RegExp(`^\\| \`${method} ${path.replaceAll(/[{}]/g, "\\$&")}[\`?]`, "m"));
    },
  );

  it.each(Object.keys(EmailService.backends))("has a row for the scheme %s", (scheme) => {
    expect(readme).toMatch(new RegExp(`^\\| .*\`${scheme}:`, "m"));
  });
});
