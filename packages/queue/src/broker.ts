/** A queue backend with those who wait on it: what the routes work on. */

import type { Backend } from "@mikcar/core";
import type { QueueBackend } from "./backend.ts";
import { Finals } from "./finals.ts";
import { Streams } from "./streams.ts";
import { Waiting } from "./waiting.ts";

export interface Broker extends Backend {
  readonly backend: QueueBackend;
  readonly waiting: Waiting;
  readonly finals: Finals;
  readonly streams: Streams;
}

/** Gives a backend its waiting callers. Closing the broker ends their waits, removes what was sent, and closes the backend. */
export function broker(backend: QueueBackend): Broker {
  const waiting = new Waiting(backend);
  const finals = new Finals(backend);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await waiting.close();
    await finals.close();
    await backend.close();
  };
  return {
    backend,
    waiting,
    finals,
    streams: new Streams(backend, waiting),
    ping: () => backend.ping(),
    close: () => (closing ??= close()),
  };
}
