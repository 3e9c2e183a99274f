/** Reading request bodies: whole, as a stream, or only to throw them away. */

import type { IncomingMessage } from "node:http";
import { badRequest, payloadTooLarge } from "./errors.ts";

const DISCARD_BYTES = 64 * 1024 * 1024;
const DISCARD_MS = 5000;

/** The whole body. @param onProgress Told of each piece, of those of a body that breaks off or grows too long as well. @throws PAYLOAD_TOO_LARGE as soon as more has come, BAD_REQUEST when the client stops half way. */
export function readAll(
  request: IncomingMessage,
  limitBytes: number,
  onProgress: (bytes: number) => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      onProgress(chunk.length);
      chunks.push(chunk);
      if (size <= limitBytes) return;
      settle();
      request.pause();
      reject(payloadTooLarge(limitBytes));
    };
    const onEnd = (): void => {
      settle();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)); // length 1: there is a first
    };
    const onClose = (): void => {
      settle();
      reject(brokenBody());
    };
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

/** The body piece by piece; reading pauses while the consumer works. Errors as `readAll`. */
export async function* readStream(
  request: IncomingMessage,
  limitBytes: number,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  let size = 0;
  try {
    // The socket must live on for the answer when the consumer stops early.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      onProgress(chunk.length);
      if (size > limitBytes) throw payloadTooLarge(limitBytes);
      yield chunk;
    }
  } catch (error) {
    throw request.destroyed && !request.complete ? brokenBody(error) : error;
  }
}

/**
 * Reads what is left of a body and throws it away, so that the client can finish sending and read the answer instead
 * of seeing a reset. Ends with the body, or at 64 MiB or 5 s, whatever comes first.
 * @param onProgress Told of each piece. @returns false when it gave up.
 */
export function discardRest(request: IncomingMessage, onProgress: (bytes: number) => void): Promise<boolean> {
  if (request.complete || request.destroyed) return Promise.resolve(true);
  return new Promise((resolve) => {
    let left = DISCARD_BYTES;
    const finish = (isRead: boolean): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onEnd);
      resolve(isRead);
    };
    const onData = (chunk: Buffer): void => {
      left -= chunk.length;
      onProgress(chunk.length);
      if (left < 0) finish(false);
    };
    const onEnd = (): void => finish(true);
    const timer = setTimeout(finish, DISCARD_MS, false);
    request.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onEnd).resume();
  });
}

function brokenBody(cause?: unknown): Error {
  return badRequest("the request ended before its body was complete", { cause });
}
