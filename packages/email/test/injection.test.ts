/** Whatever is written into an email's fields arrives as it was written, to whom it was written, or is refused by name. */

import { domainToASCII, domainToUnicode } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import fc from "fast-check";
import libmime from "libmime";
import { open } from "../src/backends/smtp/index.ts";
import { type Client, HELLO, serve } from "./client.ts";
import { type MailServer, startMailServer } from "./mail-server.ts";

let server: MailServer;
let client: Client;
beforeAll(async () => {
  server = await startMailServer();
  client = await serve(await open(configUrl(`smtp://127.0.0.1:${server.port}?starttls=false`)));
});
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 20_000 : 400;
/** Pieces that mean something to a mail server, to a mail program, or to a parser of either. */
const PIECES = [
  "\r\n", "\n", "\r", "\0", "\t", "\u0085", "\u2028", "\v", "\x7f", "\r\n.\r\n", "\n.\n", "\r.\r", "\r\nBcc: eve@evil.example", "\r\n\r\n",
  "RCPT TO:<eve@evil.example>", "=?utf-8?q?=0D=0ABcc:_eve@evil.example?=", "=?", "?=", "<", ">", ",", ";", ":", '"', "\\", "(", ")", "@",
  "eve@evil.example", "<eve@evil.example>", " SIZE=1", "--", "\r\n--x--", "é", "🗼", "中", "\u202e", "\ud800", " ", "  ", ".", "a", "Content-Type: text/html",
  "filename*0=x", "%0D%0A", "''", "x".repeat(100), "__proto__",
]; // prettier-ignore
const text = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5, unit: "binary" })), {
  maxLength: 6,
});
const anything = text.map((pieces) => pieces.join(""));
const address = fc.oneof(
  anything,
  fc.tuple(anything, anything).map(([local, domain]) => `${local}@${domain}`),
  anything.map((name) => `${name} <bob@example.com>`),
  anything.map((name) => `"${name}" <bob@example.com>`),
  anything.map((local) => `${local}@example.com`),
  anything.map((local) => `"${local}"@example.com`),
  fc.constantFrom("bob@example.com", "Carl <carl@bücher.example>", "jörg@example.com"),
);
const good = fc.constant("bob@example.com");
const email = fc.record({
  from: fc.oneof(good, address),
  to: fc.array(fc.oneof(good, address), { maxLength: 2 }),
  cc: fc.array(address, { maxLength: 1 }),
  bcc: fc.array(address, { maxLength: 1 }),
  subject: anything,
  text: fc.option(anything),
  html: fc.option(anything),
  reply_to: fc.option(address),
  headers: fc.dictionary(fc.oneof(anything, fc.constantFrom("X-A", "X-B", "Subject", "List-Id")), anything, {
    maxKeys: 2,
  }),
  attachments: fc.array(
    fc.record({
      filename: anything,
      content: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("base64")),
      content_type: fc.option(
        fc.oneof(anything, fc.constantFrom("text/plain", "image/png; name=x", "application/x-a")),
      ),
      cid: fc.option(fc.oneof(anything, fc.constant("a@b"))),
    }),
    { maxLength: 2 },
  ),
});
type Written = typeof email extends fc.Arbitrary<infer T> ? T : never;
/** One field at a time too: of many, one at least is refused nearly always. */
const partial = fc
  .tuple(
    email,
    fc.subarray(["from", "to", "cc", "bcc", "subject", "text", "html", "reply_to", "headers", "attachments"] as const, {
      minLength: 1,
      maxLength: 2,
    }),
  )
  .map(
    ([all, fields]) =>
      ({ ...HELLO, ...Object.fromEntries(fields.map((field) => [field, all[field]])) }) as Partial<Written> &
        typeof HELLO,
  );

/** Whom a written address names: as RFC 5322 has it, of the forms that are taken. */
function addressOf(written: string): string {
  const inner = /<([^<>]*)>\s*$/.exec(written)?.[1] ?? written.trim();
  const at = inner.lastIndexOf("@");
  const domain = inner.slice(at + 1);
  const isAscii = /^[\0-\x7f]*$/.test(inner.slice(0, at));
  return `${inner.slice(0, at)}@${isAscii ? domainToASCII(domain) : domainToUnicode(domain)}`;
}

const lower = (addresses: readonly string[]): string[] =>
  [...new Set(addresses.map((one) => one.replace(/@.*?$/, (domain) => domain.toLowerCase())))].sort();
/** A message ends with a line break, and line breaks are of one kind. */
const lines = (value: string | false | undefined): string =>
  (value || "").replaceAll(/\r\n?/g, "\n").replace(/\n$/, "");
const OWN = ["from", "to", "cc", "reply-to", "subject", "message-id", "date", "mime-version", "content-type"];
const MAYBE = ["content-transfer-encoding", "content-disposition", "content-id"]; // of a message with one part

let accepted = 0;
it("holds for every field", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(email, partial), async (written) => {
      const before = server.received.length;
      const { status, json } = await client.send(written);

      if (status !== 200) {
        expect([400, 422]).toContain(status);
        const fields = Object.keys({ ...written });
        for (const { field } of json.details) expect(fields).toContain(String(field).split(".")[0]);
        expect(server.received.length).toBe(before);
        return;
      }
      expect(server.received.length).toBe(before + 1);
      const { mail, recipients, sender, raw } = server.received.at(-1) ?? fail();
      accepted++;
      const { to = [], cc = [], bcc = [] } = written;
      expect(lower(recipients)).toEqual(lower([...to, ...cc, ...bcc].map(addressOf)));
      expect(lower([sender])).toEqual(lower([addressOf(written.from)]));
      expect(json.rejected).toBeUndefined();

      const custom = Object.keys(written.headers ?? {}).map((name) => name.toLowerCase());
      const found = mail.headerLines.map(({ key }) => key).filter((key) => !MAYBE.includes(key));
      const asked = OWN.filter(
        (key) =>
          !(key === "to" && to.length === 0) &&
          !(key === "cc" && cc.length === 0) &&
          !(key === "reply-to" && written.reply_to == null) &&
          !(key === "subject" && written.subject === ""),
      );
      expect(found.toSorted()).toEqual([...asked, ...custom].toSorted());

      for (const [name, value] of Object.entries(written.headers ?? {})) {
        const line = mail.headerLines.find(({ key }) => key === name.toLowerCase())?.line ?? "";
        const unfolded = line.replaceAll(/\r?\n(?=[ \t])/g, "");
        expect([unfolded.slice(0, name.length + 2), libmime.decodeWords(unfolded.slice(name.length + 2))]).toEqual([
          `${name}: `,
          value.trim(),
        ]);
      }
      expect(mail.subject ?? "").toBe(written.subject);
      expect(lines(mail.text)).toBe(lines(written.text ?? ""));
      expect(lines(mail.html)).toBe(lines(written.html ?? ""));
      const files = mail.attachments.map(({ filename, content }) => [filename, content.toString("base64")]);
      const wanted = (written.attachments ?? []).map(({ filename, content }) => [filename, content]);
      expect(files.toSorted()).toEqual(wanted.toSorted());
      expect(raw.toString("latin1")).not.toMatch(/[^\r]\n|\r[^\n]/);
    }),
    { numRuns: RUNS, interruptAfterTimeLimit: RUNS > 1000 ? 600_000 : 60_000 },
  );
  expect(accepted).toBeGreaterThan(RUNS / 20); // else it would say little
}, 900_000);

function fail(): never {
  throw new Error("nothing has arrived");
}
