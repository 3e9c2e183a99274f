/**
 * Sends emails through a mail server, over a few connections that stay open: `smtp://[user:password@]host[:587]`, `smtps:`.
 * Parameters: `readSmtpUrl`. A connection that the server has ended is replaced, and a message of which nothing had been
 * sent over it goes over the new one.
 */

import { type Open, unavailable, unsupported } from "@mikcar/core";
import type MailMessage from "nodemailer/lib/mailer/mail-message";
import MimeNode from "nodemailer/lib/mime-node";
import SMTPPool, { type SMTPPoolSentMessageInfo } from "nodemailer/lib/smtp-pool";
import type { EmailBackend, Message, Rejected } from "../../backend.ts";
import { Line } from "./line.ts";
import { Sockets } from "./sockets.ts";
import { hasNoSession, rejections, type SmtpError, translate } from "./translate.ts";
import { readSmtpUrl, type SmtpConfig } from "./url.ts";

/** A login for every question whether the server is there would look like an attack. */
const PING_FRESH_MS = 5000;

export const open: Open<EmailBackend> = async (url, warn) => new SmtpBackend(readSmtpUrl(url, warn));

class SmtpBackend implements EmailBackend {
  readonly #pool: SMTPPool;
  readonly #line: Line;
  readonly #sockets: Sockets;
  readonly #timeoutMs: number;
  readonly #open = new Set<Promise<unknown>>();
  #ping: { readonly answer: Promise<void>; readonly askedAt: number } | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: SmtpConfig) {
    this.#sockets = new Sockets(config);
    this.#pool = newPool(config, this.#sockets);
    this.#line = new Line(config.connections);
    this.#timeoutMs = config.timeoutMs;
  }

  async send(message: Message): Promise<readonly Rejected[]> {
    if (this.#closing !== undefined) throw closed();
    const sending = this.#line.run(() => this.#sockets.use(() => this.#deliver(message)));
    this.#open.add(sending);
    try {
      return await sending;
    } finally {
      this.#open.delete(sending);
    }
  }

  async listCaught(): Promise<never> {
    throw sent();
  }

  async getCaught(): Promise<never> {
    throw sent();
  }

  async clearCaught(): Promise<never> {
    throw sent();
  }

  /** Connects and logs in, at most every few seconds. */
  async ping(): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    const now = performance.now();
    if (this.#ping === undefined || now - this.#ping.askedAt > PING_FRESH_MS) {
      const answer = this.#sockets.use(() => this.#verify());
      answer.catch(() => undefined); // whoever asks is told below
      this.#ping = { answer, askedAt: now };
    }
    return this.#ping.answer;
  }

  /** What is being sent may end, for as long as one reply may take. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #deliver({ sender, recipients, raw }: Message): Promise<readonly Rejected[]> {
    const message = new MimeNode("message/rfc822").setRaw(raw).setEnvelope({
      from: named(sender),
      to: recipients.map(named),
      size: raw.length,
    });
    try {
      // The pool looks at these two alone of what its own mailer would hand it.
      const mail = { message, data: {} } as unknown as MailMessage<SMTPPoolSentMessageInfo>;
      const { rejectedErrors } = await new Promise<SMTPPoolSentMessageInfo>((resolve, reject) => {
        this.#pool.send(mail, (error, info) =>
          error === null ? resolve(info as SMTPPoolSentMessageInfo) : reject(error),
        );
      });
      return rejections(rejectedErrors as readonly SmtpError[] | undefined);
    } catch (error) {
      const failure = translate(error);
      if (hasNoSession(error)) this.#line.refuse(failure); // each would wait as long, and hear the same
      throw failure;
    }
  }

  async #verify(): Promise<void> {
    try {
      await this.#pool.verify();
    } catch (error) {
      throw translate(error);
    }
  }

  async #close(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, this.#timeoutMs);
    await Promise.race([Promise.allSettled(this.#open), late.promise]);
    clearTimeout(timer);
    this.#line.refuse(closed());
    this.#pool.close({ force: true });
  }
}

function newPool(config: SmtpConfig, sockets: Sockets): SMTPPool {
  const { host, port, isTls, startsTls, login, ca, timeoutMs, connections, name } = config;
  const pool = new SMTPPool({
    host,
    port,
    secure: isTls,
    requireTLS: startsTls,
    ignoreTLS: !startsTls,
    ...(login === undefined ? {} : { auth: login, forceAuth: true }), // never as nobody where a login was given
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(name === undefined ? {} : { name }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    socketCloseTimeout: Math.min(timeoutMs, 1000),
    idleTimeout: Math.ceil(timeoutMs * 0.8), // so that it says goodbye before the time for a reply is up
    maxConnections: connections,
    maxRequeues: connections, // each of them may have been ended by the server
  });
  pool.getSocket = (_options, callback) =>
    sockets.connect((error, connection) =>
      connection === undefined ? callback(error) : callback(null, { connection }),
    );
  return pool;
}

/** An address as it stands; a string would be parsed. */
function named(address: string): { address: string; name: string } {
  return { address, name: "" };
}

function sent(): Error {
  return unsupported("this sidecar sends its emails, and keeps none; memory: and file: have an outbox");
}

function closed(): Error {
  return unavailable("the connection to the mail server is closed");
}
