/** A mail server of the tests' own: what it takes it keeps, parsed, with its envelope. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { LOCALHOST } from "@mikcar/devkit";
import { type ParsedMail, simpleParser } from "mailparser";
import { readMailbox } from "../src/address.ts";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export interface Received {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly raw: Buffer;
  readonly mail: ParsedMail;
  readonly isSecure: boolean;
}

export interface MailServer {
  readonly port: number;
  readonly received: readonly Received[];
  /** Connections that were made, those that have ended among them. */
  readonly connections: () => number;
  /** Ends all connections, those in use within a moment. */
  stop(): Promise<void>;
  /** On the same port. */
  start(): Promise<void>;
}

/** Of `TEST_LOGIN`, and of nobody else when it is asked. */
export const TEST_LOGIN = { user: "apikey", pass: "SG.x:y%z@home" };
/** Recipients of this kind are refused: `refused550@…`. */
const REFUSED = /^refused(\d{3})@/;

/** In the clear unless the options say otherwise; with the certificate of the tests. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const received: Received[] = [];
  let connections = 0;
  const make = (): SMTPServer =>
    new SMTPServer({
      authOptional: true,
      hideSTARTTLS: true,
      disableReverseLookup: true,
      closeTimeout: 50, // ms
      cert: LOCALHOST.certificate,
      key: LOCALHOST.key,
      onAuth: ({ username, password }, _session, done) =>
        username === TEST_LOGIN.user && password === TEST_LOGIN.pass
          ? done(null, { user: username })
          : done(reply(535, `5.7.8 no such login: ${username} ${password}`)),
      onRcptTo: ({ address }, _session, done) => {
        const code = REFUSED.exec(address)?.[1];
        done(code === undefined ? null : reply(Number(code), `${address} is not for here`));
      },
      onData: (stream, { envelope, secure }, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", async () => {
          const raw = Buffer.concat(chunks);
          const mail = await parse(raw);
          const { mailFrom, rcptTo } = envelope;
          const sender = mailFrom === false ? "" : sentAs(mailFrom.address);
          received.push({
            sender,
            recipients: rcptTo.map(({ address }) => sentAs(address)),
            raw,
            mail,
            isSecure: secure,
          });
          done();
        });
      },
      ...options,
    });
  let server = make();
  const listen = async (port: number): Promise<number> => {
    server.on("error", () => undefined); // a client that leaves in the middle
    const { server: below } = server;
    below.on("connection", () => connections++);
    server.listen(port, "127.0.0.1");
    await once(below, "listening");
    return (below.address() as AddressInfo).port; // it listens on TCP
  };
  const port = await listen(0);
  return {
    port,
    received,
    connections: () => connections,
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
    start: async () => {
      server = make();
      await listen(port);
    },
  };
}

/** The server shows an international domain in Unicode. */
function sentAs(address: string): string {
  const read = readMailbox(address);
  return typeof read === "string" ? address : read.address;
}

/** What a message says, without anything being added to it. */
export function parse(raw: Buffer): Promise<ParsedMail> {
  return simpleParser(raw, { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, keepCidLinks: true });
}

export function reply(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}
