/** Bytes that come from a store behind a network. */

import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";

/**
 * A response as the seam wants it. Node's own iterator of a stream leaves the connection open when it is stopped before
 * its first step, as for a reader who is gone by then; this one never does.
 * @param translate Makes the error of a client library one of ours.
 * @param idleMs How long to wait for bytes, while a reader waits for them; absent: as long as the connection does.
 */
export function bodyOf(stream: Readable, translate: (error: unknown) => Error, idleMs?: number): AsyncIterable<Buffer> {
  const chunks = stream.iterator({ destroyOnReturn: true }) as AsyncIterableIterator<Buffer>; // no encoding is set: bytes
  const iterator: AsyncIterator<Buffer> = {
    next: async () => {
      const late = idleMs === undefined ? undefined : setTimeout(() => void stream.destroy(stalled(idleMs)), idleMs);
      try {
        return await chunks.next();
      } catch (error) {
        throw translate((stream as Partial<IncomingMessage>).socket?.errored ?? error); // Node says "aborted" whatever it was
      } finally {
        clearTimeout(late);
      }
    },
    return: async () => {
      stream.destroy();
      return { done: true, value: undefined };
    },
  };
  stream.on("error", () => {}); // told by `next`; who has stopped reading does not want to know
  return { [Symbol.asyncIterator]: () => iterator };
}

function stalled(ms: number): Error {
  return Object.assign(new Error(`no bytes came for ${ms} ms`), { code: "EIDLE" });
}

/** What `work` makes of the headers of a body; when it throws, nobody will read that. */
export function keeping<T>(stream: Readable, work: () => T): T {
  try {
    return work();
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** `length` bytes of `body` after the first `skip`; the rest is not waited for. */
export async function* cut(body: AsyncIterable<Buffer>, skip: number, length: number): AsyncGenerator<Buffer> {
  let from = skip;
  let left = length;
  for await (const chunk of body) {
    const piece = chunk.subarray(from, from + left);
    from = Math.max(0, from - chunk.length);
    left -= piece.length;
    if (piece.length > 0) yield piece;
    if (left === 0) return;
  }
}

/** Stops a body that nobody has begun to read, or wants no more of. */
export async function drop(body: AsyncIterable<Buffer>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}

/** What a writer sends, whose own failure can be told from one of the store that it goes to. */
export class Incoming implements AsyncIterable<Buffer> {
  readonly #body: AsyncIterable<Buffer>;
  #failure: { readonly error: unknown } | undefined;

  constructor(body: AsyncIterable<Buffer>) {
    this.#body = body;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#body) yield chunk;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** @throws what the body has thrown, when it has. */
  rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
