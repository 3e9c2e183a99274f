/** What the email service means over HTTP, whatever is behind it. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { ParsedMail } from "mailparser";
import type { EmailBackend } from "../src/backend.ts";
import { type Client, HELLO, serve } from "./client.ts";

/** What has left the service. */
export interface Arrived {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly raw: Buffer;
  readonly mail: ParsedMail;
}

export interface Harness {
  open(): Promise<EmailBackend>;
  /** The message with this id, or undefined when none has arrived. */
  arrived(id: string): Promise<Arrived | undefined>;
  /** How many have arrived. */
  count(): Promise<number>;
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 13, 10, 46, 13, 10]);

export function emailContract(name: string, harness: Harness): void {
  describe(`${name} keeps the email contract`, () => {
    let client: Client;
    beforeAll(async () => {
      client = await serve(await harness.open());
    });
    afterAll(() => client?.close());

    const send = async (email: object): Promise<Arrived> => {
      const { status, json } = await client.send({ ...HELLO, ...email });
      expect([status, json]).toEqual([200, { id: expect.any(String), success: true }]);
      const found = await harness.arrived(json.id);
      if (found === undefined) throw new Error(`${json.id} has not arrived`);
      return found;
    };

    it("sends what it is given", async () => {
      const { mail, sender, recipients } = await send({
        from: "Ada <ada@example.org>",
        to: ["Bob <bob@example.com>", "carl@example.com"],
        cc: ["dora@example.com"],
        bcc: ["eve@example.com"],
        reply_to: '"Ada, at home" <home@example.org>',
        text: "Hi\n",
        html: "<p>Hi</p>",
        headers: { "X-Campaign": "spring", References: "<a@b> <c@d>" },
      });

      expect([sender, recipients]).toEqual([
        "ada@example.org",
        ["bob@example.com", "carl@example.com", "dora@example.com", "eve@example.com"],
      ]);
      expect(mail.from?.value).toEqual([{ name: "Ada", address: "ada@example.org" }]);
      expect([mail.to].flat().map((to) => to?.text)).toEqual(['"Bob" <bob@example.com>, carl@example.com']);
      expect(mail.replyTo?.value).toEqual([{ name: "Ada, at home", address: "home@example.org" }]);
      expect([mail.subject, mail.text, mail.html]).toEqual(["Hello", "Hi\n", "<p>Hi</p>"]);
      expect([mail.headers.get("x-campaign"), mail.references]).toEqual(["spring", ["<a@b>", "<c@d>"]]);
    });

    it("dates and names every message, and says nothing of bcc in it", async () => {
      const { mail, raw, recipients } = await send({ bcc: ["Secret <hidden@example.com>"] });

      expect(recipients).toContain("hidden@example.com");
      expect(raw.toString()).not.toMatch(/hidden|secret|^bcc/im);
      expect(mail.messageId).toMatch(/^<[\da-f-]{36}@example\.org>$/);
      expect(Math.abs(Date.now() - Number(mail.date))).toBeLessThan(60_000);
      expect(raw.toString()).toMatch(/^Date: .*\r\n/m);
      expect(raw.toString()).not.toMatch(/[^\r]\n/);
    });

    it("attaches files byte by byte, and images where the HTML shows them", async () => {
      const { mail } = await send({
        html: '<img src="cid:logo@x">',
        attachments: [
          { filename: "ünï 1.bin", content: PNG.toString("base64"), content_type: "application/x-test" },
          { filename: "logo.png", content: PNG.toString("base64"), cid: "logo@x" },
          { filename: "empty.txt", content: "" },
        ],
      });

      const files = mail.attachments.map(({ filename, contentType, content, cid }) => [
        filename,
        contentType,
        content,
        cid,
      ]);
      expect(files).toEqual(
        expect.arrayContaining([
          ["ünï 1.bin", "application/x-test", PNG, undefined],
          ["logo.png", "image/png", PNG, "logo@x"],
          ["empty.txt", "text/plain", Buffer.alloc(0), undefined],
        ]),
      );
      expect(mail.html).toBe('<img src="cid:logo@x">');
    });

    it("takes international addresses, names and subjects", async () => {
      const { mail, recipients } = await send({
        from: "Çağla 🌷 <cagla@bücher.example>",
        to: ["Jörg <jörg@bücher.example>", "plain@bücher.example"],
        subject: "Grüße aus 東京 🗼",
        text: "Schöne Grüße",
      });

      expect(recipients).toEqual(["jörg@bücher.example", "plain@xn--bcher-kva.example"]);
      expect(mail.from?.value[0]?.name).toBe("Çağla 🌷");
      expect([mail.subject, mail.text?.trimEnd()]).toEqual(["Grüße aus 東京 🗼", "Schöne Grüße"]);
    });

    it("sends to everybody once, also when bcc alone has someone", async () => {
      const { recipients } = await send({ to: [], cc: [], bcc: ["a@x.example", "b@x.example", "A <a@x.example>"] });

      expect(recipients).toEqual(["a@x.example", "b@x.example"]);
    });

    it("sends an empty subject, no text, and null where nothing is", async () => {
      const { mail } = await send({ subject: "", text: null, html: null, cc: null, headers: null, reply_to: null });

      expect([mail.subject ?? "", (mail.text ?? "").trim()]).toEqual(["", ""]);
    });

    it("sends a batch in parallel, in order, and what is wrong fails alone", async () => {
      const { status, json } = await client.post("/send/batch", {
        emails: [
          { ...HELLO, subject: "first" },
          { ...HELLO, to: ["nobody"] },
          { ...HELLO, subject: "a\r\nBcc: eve@example.com" },
          { from: "ada@example.org" },
          7,
          { ...HELLO, subject: "last" },
        ],
      });

      expect([status, json.sent, json.failed]).toEqual([200, 2, 4]);
      expect(
        json.results.map((result: { success: boolean; status?: number }) => [result.success, result.status]),
      ).toEqual([
        [true, undefined],
        [false, 400],
        [false, 400],
        [false, 422],
        [false, 422],
        [true, undefined],
      ]);
      const subjects = await Promise.all([0, 5].map((index) => harness.arrived(json.results[index].id)));
      expect(subjects.map((found) => found?.mail.subject)).toEqual(["first", "last"]);
      expect(json.results[1].error).toContain("to.0");
    });

    it("sends once under one idempotency key, however many ask at once", async () => {
      const headers = { "Idempotency-Key": `key ${name}` };
      const before = await harness.count();

      const answers = await Promise.all(Array.from({ length: 10 }, () => client.send(HELLO, headers)));
      const later = await client.send({ ...HELLO, subject: "Other" }, headers);

      expect(new Set([...answers, later].map(({ json }) => json.id)).size).toBe(1);
      expect(await harness.count()).toBe(before + 1);
    });

    it("sends of a batch under one key each once", async () => {
      const headers = { "Idempotency-Key": `batch ${name}` };
      const emails = [HELLO, HELLO];
      const before = await harness.count();

      const first = await client.post("/send/batch", { emails }, headers);
      const second = await client.post("/send/batch", { emails: [...emails, HELLO] }, headers);

      expect(second.json.results.slice(0, 2)).toEqual(first.json.results);
      expect(await harness.count()).toBe(before + 3);
    });

    it("answers a ping, may be closed twice, and refuses what comes after it", async () => {
      const backend = await harness.open();
      await backend.ping();

      await Promise.all([backend.close(), backend.close()]);

      const message = { id: "a@b", sender: "a@b.c", recipients: ["x@y.z"], raw: Buffer.from("\r\n") };
      await expect(backend.send(message)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(backend.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });
  });
}
