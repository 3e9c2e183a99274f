/** Bodies of any length: https://cloud.google.com/storage/docs/resumable-uploads */

import { setTimeout as sleep } from "node:timers/promises";
import { isMikcarError, payloadTooLarge, unavailable } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import { cutBody, type Part, PART_BYTES } from "../cloud/parts.ts";
import type { Pin } from "../cloud/pin.ts";
import type { GcsBucket, Outcome, Session } from "./bucket.ts";

const MAX_BYTES = 5 * 1024 ** 4; // https://cloud.google.com/storage/quotas#objects
const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 100;

/** Makes one object of `body`, or, when that throws, leaves nothing. */
export async function upload(
  bucket: GcsBucket,
  key: string,
  body: AsyncIterable<Buffer>,
  headers: ObjectHeaders,
  pin: Pin | undefined,
): Promise<Outcome> {
  const cut = await cutBody(body);
  if ("whole" in cut) return bucket.write(key, cut.whole.bytes, headers, pin).finally(cut.whole.free);
  try {
    const session = await bucket.begin(key, headers, pin);
    return session === "refused" ? session : await inChunks(bucket, session, cut.parts);
  } finally {
    await cut.drop();
  }
}

/** One chunk is on its way while the next one fills; there is no other order. Nothing is left unless it becomes an object. */
async function inChunks(bucket: GcsBucket, session: Session, parts: AsyncIterable<Part>): Promise<Outcome> {
  let sending: Promise<Outcome | undefined> = Promise.resolve(undefined);
  let outcome: Outcome | undefined;
  let size = 0;
  try {
    for await (const { bytes, free } of parts) {
      outcome = await sending;
      if (outcome !== undefined) return outcome;
      const first = size;
      size += bytes.length;
      if (size > MAX_BYTES) throw payloadTooLarge(MAX_BYTES);
      sending = sendChunk(bucket, session, bytes, first, bytes.length < PART_BYTES ? size : undefined).finally(free);
      sending.catch(() => {}); // told by the next step
    }
    outcome = (await sending) ?? (await sendChunk(bucket, session, Buffer.alloc(0), size, size));
    if (outcome === undefined) throw unavailable("Google Cloud Storage has all bytes, and makes no object of them");
    return outcome;
  } finally {
    if (typeof outcome !== "object") {
      await sending.catch(() => {}); // it reads the memory of its part; what went wrong is told rather than this
      // Google forgets an upload after a week, as for those that nobody could cancel.
      await bucket.cancel(session).catch(() => {});
    }
  }
}

/**
 * Sends what the server does not have yet of a chunk; again, when it is not known how much it got.
 * @param total Of all chunks, when this is the last one.
 * @returns undefined while more are to come.
 */
async function sendChunk(
  bucket: GcsBucket,
  session: Session,
  bytes: Buffer,
  first: number,
  total: number | undefined,
): Promise<Outcome | undefined> {
  let from = 0;
  for (let attempt = 1; ; attempt += 1) {
    const there = await bucket
      .chunk(session, bytes.subarray(from), rangeOf(first + from, bytes.length - from, total))
      .catch(async (error: unknown) => {
        if (attempt === MAX_ATTEMPTS || !isMikcarError(error) || error.code !== "UNAVAILABLE") throw error;
        await sleep(BACKOFF_MS * 2 ** attempt * Math.random());
        return bucket.chunk(session, undefined, `bytes */${total ?? "*"}`);
      });
    if (typeof there !== "number") return there;
    if (total === undefined && there === first + bytes.length) return undefined;
    const next = there - first;
    if (next < 0 || next > bytes.length)
      throw unavailable("Google Cloud Storage lost bytes of an upload; send it again");
    if (next > from) attempt = 0;
    else if (attempt === MAX_ATTEMPTS) throw unavailable("Google Cloud Storage takes no more bytes of an upload");
    from = next;
  }
}

function rangeOf(first: number, length: number, total: number | undefined): string {
  const bytes = length === 0 ? "*" : `${first}-${first + length - 1}`;
  return `bytes ${bytes}/${total ?? "*"}`;
}
