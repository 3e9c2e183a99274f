/** A backend with what all backends share: composing, and the keys under which emails were sent. */

import type { Backend } from "@mikcar/core";
import type { Email, EmailBackend, Rejected } from "./backend.ts";
import { compose } from "./compose.ts";
import { Idempotency } from "./idempotency.ts";

export interface Receipt {
  /** The Message-ID, without angle brackets. */
  readonly id: string;
  readonly rejected: readonly Rejected[];
}

export interface Mailer extends Backend {
  readonly backend: EmailBackend;
  /** With a key: once a day, as far as this process remembers. Errors as `EmailBackend.send`. */
  send(email: Email, idempotencyKey: string | undefined): Promise<Receipt>;
}

export function mailer(backend: EmailBackend): Mailer {
  const sent = new Idempotency<Receipt>();
  const sendNow = async (email: Email): Promise<Receipt> => {
    const message = await compose(email);
    return { id: message.id, rejected: await backend.send(message) };
  };
  return {
    backend,
    send: (email, key) => sent.once(key, () => sendNow(email)),
    ping: () => backend.ping(),
    close: () => backend.close(),
  };
}
