/** Bodies of any length: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */

import { setTimeout as sleep } from "node:timers/promises";
import { payloadTooLarge } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import { cutBody, PART_BYTES } from "../cloud/parts.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Bucket, Outcome, Source } from "./bucket.ts";

const MAX_PARTS = 10_000;
/** Each is a part in memory, beside the one that fills. */
const UPLOADS_AT_ONCE = 2;
const COPIES_AT_ONCE = 8;
const MAX_ATTEMPTS = 4;

export interface Sent {
  readonly size: number;
  readonly outcome: Outcome;
}

/** Makes one object of `body`, or, when that throws, leaves nothing. */
export async function upload(
  bucket: Bucket,
  key: string,
  body: AsyncIterable<Buffer>,
  headers: ObjectHeaders,
  pin: Pin | undefined,
): Promise<Sent> {
  const cut = await cutBody(body);
  if ("whole" in cut) {
    const { bytes, free } = cut.whole;
    const outcome = await writeWhole(bucket, key, bytes, headers, pin).finally(free);
    return { size: bytes.length, outcome };
  }
  let size = 0;
  try {
    const outcome = await inParts(bucket, key, headers, pin, UPLOADS_AT_ONCE, async (id, add) => {
      for await (const { bytes, free } of cut.parts) {
        size += bytes.length;
        if (size > MAX_PARTS * PART_BYTES) throw payloadTooLarge(MAX_PARTS * PART_BYTES);
        await add((number) => bucket.writePart(key, id, number, bytes).finally(free));
      }
    });
    return { size, outcome };
  } finally {
    await cut.drop();
  }
}

/** The version `eTag` of `from`, which is too large for one request. */
export function copyInParts(
  bucket: Bucket,
  from: { readonly key: string; readonly size: number; readonly eTag: string; readonly headers: ObjectHeaders },
  to: string,
  partBytes: number,
): Promise<Outcome> {
  return inParts(bucket, to, from.headers, undefined, COPIES_AT_ONCE, async (id, add) => {
    for (let first = 0; first < from.size; first += partBytes) {
      const last = Math.min(first + partBytes, from.size) - 1;
      const source: Source = { key: from.key, eTag: from.eTag, first, last };
      await add((number) => bucket.copyPart(to, id, number, source));
    }
  });
}

/** Another conditional write of this object may be under way, and lose. */
async function writeWhole(
  bucket: Bucket,
  key: string,
  bytes: Buffer,
  headers: ObjectHeaders,
  pin: Pin | undefined,
): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await bucket.write(key, bytes, headers, pin);
    if (outcome !== "busy" || attempt === MAX_ATTEMPTS) return outcome;
    await sleep(50 * attempt * (1 + Math.random()));
  }
}

type Add = (send: (number: number) => Promise<string>) => Promise<void>;

/** @param send Adds all parts. Nothing of them is left unless they become an object. */
async function inParts(
  bucket: Bucket,
  key: string,
  headers: ObjectHeaders,
  pin: Pin | undefined,
  atOnce: number,
  send: (id: string, add: Add) => Promise<void>,
): Promise<Outcome> {
  const id = await bucket.begin(key, headers);
  const parts = new Parts(atOnce);
  let isDone = false;
  try {
    await send(id, (part) => parts.add(part));
    const outcome = await bucket.finish(key, id, await parts.tags(), pin);
    isDone = typeof outcome === "object";
    return outcome;
  } finally {
    if (!isDone) {
      await parts.settled(); // one that arrives after the end would stay
      // What went wrong is told rather than this; a bucket's lifecycle rule is for parts that nobody could remove.
      await bucket.abort(key, id).catch(() => {});
    }
  }
}

/** Parts on their way, a few at a time. */
class Parts {
  readonly #atOnce: number;
  readonly #tags: string[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #count = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Waits while too many are under way. @throws what one of them has thrown. */
  async add(send: (number: number) => Promise<string>): Promise<void> {
    const index = this.#count++;
    const sending = send(index + 1).then((tag) => {
      this.#tags[index] = tag;
      this.#underWay.delete(sending);
    });
    sending.catch(() => {}); // told by the next `add`, or by `tags`: what fails stays among those under way
    this.#underWay.add(sending);
    if (this.#underWay.size >= this.#atOnce) await Promise.race(this.#underWay);
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  /** In the order of adding. @throws what one of them has thrown. */
  async tags(): Promise<readonly string[]> {
    await Promise.all(this.#underWay);
    return this.#tags;
  }
}
