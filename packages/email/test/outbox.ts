/** What an outbox means, for the backends that have one. */

import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { EmailBackend } from "../src/backend.ts";
import { type Client, HELLO, serve } from "./client.ts";

export function outboxContract(name: string, open: () => Promise<EmailBackend>): void {
  describe(`${name} keeps an outbox`, () => {
    let client: Client;
    beforeEach(async () => {
      client = await serve(await open());
    });
    afterEach(() => client.close());

    it("shows what was sent as it was sent", async () => {
      const email = {
        from: '"Ada" <ada@bücher.example>',
        to: ['"Bob, Sr." <bob@example.com>'],
        cc: ["carl@xn--bcher-kva.example"],
        bcc: ["eve@example.com"],
        reply_to: "home@example.org",
        subject: "  Grüße =?x?= ",
        text: "Hi\n.\nBob\n",
        html: "<script>alert(1)</script>",
        headers: {
          "X-Name": "Jörg  =?x",
          "List-Unsubscribe": "<https://example.org/u>",
          "x-API_key": "as spelled é =?",
        },
      };
      const attachment = { filename: "a.csv", content_type: "text/csv", content: "YSxi" };

      const { json } = await client.send({ ...email, attachments: [{ ...attachment, cid: "c1" }] });
      const { emails, cursor } = (await client.get("/outbox")).json;
      const one = await client.get(`/outbox/${encodeURIComponent(json.id)}`);

      const expected = { ...email, from: '"Ada" <ada@xn--bcher-kva.example>' };
      const shown = { filename: "a.csv", content_type: "text/csv", size: 3, cid: "c1" };
      expect([emails.length, cursor]).toEqual([1, null]);
      expect(emails[0]).toMatchObject({ id: json.id, ...expected, attachments: [shown] });
      expect(emails[0].attachments[0].content).toBeUndefined();
      expect(one.json).toMatchObject({ ...expected, attachments: [{ ...shown, content: "YSxi" }] });
      expect(one.headers["content-type"]).toBe("application/json");
    });

    it("lists the newest first, page by page, each once", async () => {
      for (let number = 0; number < 5; number++) await client.send({ ...HELLO, subject: String(number) });

      const pages: string[][] = [];
      let cursor = "";
      do {
        const { json } = await client.get(`/outbox?limit=2${cursor}`);
        pages.push(json.emails.map(({ subject }: { subject: string }) => subject));
        cursor = json.cursor === null ? "" : `&cursor=${json.cursor}`;
      } while (cursor !== "");

      expect(pages).toEqual([["4", "3"], ["2", "1"], ["0"]]);
    });

    it("is empty after it was cleared", async () => {
      const { json } = await client.send(HELLO);
      await client.send(HELLO);

      expect((await client.delete("/outbox")).json).toEqual({ status: "ok", deleted: 2 });
      expect((await client.get("/outbox")).json).toEqual({ emails: [], cursor: null });
      expect((await client.get(`/outbox/${json.id}`)).status).toBe(404);
      expect((await client.delete("/outbox")).json.deleted).toBe(0);
    });

    it.each(["x", "../../etc", "20260101T000000000Z"])("refuses the cursor %s", async (cursor) => {
      expect((await client.get(`/outbox?cursor=${encodeURIComponent(cursor)}`)).status).toBe(400);
    });
  });
}
