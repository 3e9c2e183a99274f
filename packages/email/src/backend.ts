/** What an e-mail backend does. Emails arrive checked and composed: the same bytes for every backend. */

import type { Backend } from "@mikcar/core";

export interface Mailbox {
  /** Empty when there is none. */
  readonly name: string;
  /** As it travels, with an international domain in ASCII where it can be. */
  readonly address: string;
}

export interface Attachment {
  readonly filename: string;
  /** Undefined: what the ending of the name tells. */
  readonly contentType: string | undefined;
  readonly content: Buffer;
  /** With which the HTML names it: `<img src="cid:logo">`. */
  readonly cid: string | undefined;
}

/** An email, checked: nothing in it can end a line, or begin another field. */
export interface Email {
  readonly from: Mailbox;
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  readonly bcc: readonly Mailbox[];
  readonly replyTo: Mailbox | undefined;
  readonly subject: string;
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly attachments: readonly Attachment[];
}

/** An email as it travels. */
export interface Message {
  /** Its Message-ID without the angle brackets: a UUID, `@`, and the sender's domain. */
  readonly id: string;
  readonly sender: string;
  /** Addresses without names, those of `bcc` among them; none twice. */
  readonly recipients: readonly string[];
  /** RFC 5322, with CRLF. Nothing in it tells of `bcc`. */
  readonly raw: Buffer;
}

/** A recipient whom the mail server has refused. */
export interface Rejected {
  readonly address: string;
  /** The server's reply code: RFC 5321, 4.2. */
  readonly smtpCode: number;
}

/** What an error's `details` hold when a mail server has said no. */
export interface Refusal {
  /** For the caller: names neither host nor login, and repeats nothing of the server's. */
  readonly sentence: string;
  readonly smtpCode: number | undefined;
  readonly rejected: readonly Rejected[];
}

export interface CaughtPage {
  /** The newest first. */
  readonly messages: readonly Message[];
  /** Continues behind this page; undefined at the end. */
  readonly cursor: string | undefined;
}

export interface EmailBackend extends Backend {
  /**
   * Resolves when the message has been taken: by the server for at least one recipient, or by the disk. It is sent once.
   * @returns The recipients who were refused while others were not.
   * @throws BAD_GATEWAY with a `Refusal` as `details` when the server refuses for good; UNAVAILABLE when it does not answer,
   * or (with a `Refusal`) refuses for now.
   */
  send(message: Message): Promise<readonly Rejected[]>;
  /** At most `limit` messages, and about 16 MiB or one. @throws UNSUPPORTED where none are caught; BAD_REQUEST for a foreign cursor. */
  listCaught(limit: number, cursor: string | undefined): Promise<CaughtPage>;
  /** @throws UNSUPPORTED where none are caught. */
  getCaught(id: string): Promise<Message | undefined>;
  /** Removes them all. @returns How many they were. @throws UNSUPPORTED where none are caught. */
  clearCaught(): Promise<number>;
}

/** About how many bytes of messages one page has. */
export const PAGE_BYTES = 16 * 1024 * 1024;
