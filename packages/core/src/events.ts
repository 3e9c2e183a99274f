/** Answers as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */

import type { Call, Reply } from "./routes.ts";

export interface ServerEvent {
  /** One line; absent: `message`. */
  readonly event?: string;
  /** One line. */
  readonly id?: string;
  /** Any text; its lines travel one by one. */
  readonly data: string;
}

/** Below what proxies in between usually give an idle connection. */
const HEARTBEAT_MS = 10_000;
const HEARTBEAT = Buffer.from(":\n\n");
const LINE_END = /\r\n|\r|\n/;
const HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no", // nginx would gather the events
};

/**
 * Sends batches of events as they come, and an empty comment while none does, so that the call never runs out of time.
 * A batch has left the server when the next one is asked for. `batches` must end by itself when `call.ending` aborts:
 * nothing else tells it that its client has gone while it waits.
 */
export function eventReply(
  call: Pick<Call, "extend">,
  batches: AsyncIterable<readonly ServerEvent[]>,
  heartbeatMs = HEARTBEAT_MS,
): Reply {
  return { headers: HEADERS, body: pieces(call, batches, heartbeatMs) };
}

async function* pieces(
  call: Pick<Call, "extend">,
  batches: AsyncIterable<readonly ServerEvent[]>,
  heartbeatMs: number,
): AsyncGenerator<Buffer, void, undefined> {
  const source = batches[Symbol.asyncIterator]();
  const ask = (): ReturnType<typeof source.next> => {
    const asked = source.next();
    asked.catch(() => undefined); // it may fail while a piece is on its way, or when nobody waits any more
    return asked;
  };
  let next = ask();
  try {
    yield HEARTBEAT; // the client learns at once that it is heard
    for (;;) {
      call.extend(heartbeatMs);
      const result = await within(next, heartbeatMs);
      if (result === undefined) {
        yield HEARTBEAT;
        continue;
      }
      if (result.done === true) return;
      yield Buffer.from(result.value.map(write).join(""));
      next = ask();
    }
  } finally {
    await source.return?.();
  }
}

/** Undefined when `promise` has not settled after `milliseconds`. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function write({ event, id, data }: ServerEvent): string {
  const head = (event === undefined ? "" : `event: ${event}\n`) + (id === undefined ? "" : `id: ${id}\n`);
  const lines = data.split(LINE_END).map((line) => `data: ${line}\n`);
  return `${head}${lines.join("")}\n`;
}
