/** A queue backend with those who wait on it: what the routes work on. */

import type { Backend } from "@mikcar/core";
import type { QueueBackend } from "./backend.ts";
import { Errands } from "./errands.ts";
import { Finals } from "./finals.ts";
import { Streams } from "./streams.ts";
import { Waiting } from "./waiting.ts";

export interface Broker extends Backend {
  readonly backend: QueueBackend;
  readonly errands: Errands;
  readonly waiting: Waiting;
  readonly finals: Finals;
  readonly streams: Streams;
}

/** Gives a backend its waiting callers. Closing the broker ends their waits, removes what was sent, and closes the backend. */
export function broker(backend: QueueBackend): Broker {
  const errands = new Errands();
  const waiting = new Waiting(backend, errands);
  const finals = new Finals(backend, errands);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await waiting.close();
    finals.flush();
    await errands.close();
    await backend.close();
  };
  const streams = new Streams(backend, waiting, errands);
  return {
    backend,
    errands,
    waiting,
    finals,
    streams,
    gauges: () => [
      { name: "mikcar_queue_takers", help: "Calls and streams that wait for a message.", value: waiting.size },
      { name: "mikcar_queue_streams", help: "Streams of messages that are open.", value: streams.size },
    ],
    ping: () => backend.ping(),
    close: () => (closing ??= close()),
  };
}
