/** Bodies in parts of one size, as stores behind a network take them. */

export interface Part {
  readonly bytes: Buffer;
  /** To be called when nobody reads `bytes` any more: their memory is for the next part. */
  free(): void;
}

/** The whole body, when it fits into one part; else its parts, of which each but the last has that size. */
export type Cut =
  | { readonly whole: Part }
  | {
      readonly parts: AsyncIterable<Part>;
      /** Stops reading, and frees what was read ahead; also when nobody has begun with the parts. */
      drop(): Promise<void>;
    };

/** Of each body. */
export const PART_BYTES = 8 * 1024 * 1024;
/** A smaller body keeps the chunks that it came in. */
const SMALL_BYTES = 256 * 1024;
/** Memory of this size costs more to get than to fill, so a little is kept for a moment. */
const KEPT_BUFFERS = 3;
const KEPT_MS = 1000;
const kept: Buffer[] = [];
let expiry: NodeJS.Timeout | undefined;

/** Reads until it knows which of both it is. @throws what the body throws. */
export async function cutBody(body: AsyncIterable<Buffer>): Promise<Cut> {
  const parts = partsOf(body);
  const first = await parts.next();
  if (first.done === true) return { whole: partOf(Buffer.alloc(0)) };
  const second = first.value.bytes.length < PART_BYTES ? undefined : await parts.next().catch(freeing(first.value));
  if (second === undefined || second.done === true) return { whole: first.value };
  const read = [first.value, second.value];
  const drop = async (): Promise<void> => {
    for (const part of read.splice(0)) part.free();
    await parts.return(undefined);
  };
  return { parts: joined(read, parts), drop };
}

async function* partsOf(body: AsyncIterable<Buffer>): AsyncGenerator<Part> {
  let filling = new Filling();
  try {
    for await (const chunk of body) {
      for (let rest = filling.add(chunk); filling.isFull; rest = filling.add(rest)) {
        const full = filling.take();
        filling = new Filling();
        yield full;
      }
    }
    if (!filling.isEmpty) yield filling.take();
  } finally {
    filling.drop();
  }
}

async function* joined(read: Part[], rest: AsyncGenerator<Part>): AsyncGenerator<Part> {
  for (let part = read.shift(); part !== undefined; part = read.shift()) yield part;
  yield* rest;
}

class Filling {
  #chunks: Buffer[] = [];
  #buffer: Buffer | undefined;
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get isFull(): boolean {
    return this.#length === PART_BYTES;
  }

  /** @returns What does not fit. */
  add(chunk: Buffer): Buffer {
    const fitting = chunk.length <= PART_BYTES - this.#length ? chunk : chunk.subarray(0, PART_BYTES - this.#length);
    if (this.#buffer === undefined && this.#length + fitting.length > SMALL_BYTES) this.#gather();
    if (this.#buffer === undefined) this.#chunks.push(fitting);
    else fitting.copy(this.#buffer, this.#length);
    this.#length += fitting.length;
    return chunk.subarray(fitting.length);
  }

  take(): Part {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer !== undefined) return partOf(buffer.subarray(0, this.#length), buffer);
    const [only] = this.#chunks;
    return partOf(only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks, this.#length));
  }

  drop(): void {
    if (this.#buffer !== undefined) keep(this.#buffer);
    this.#buffer = undefined;
  }

  #gather(): void {
    this.#buffer = kept.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES);
    let length = 0;
    for (const chunk of this.#chunks) length += chunk.copy(this.#buffer, length);
    this.#chunks = [];
  }
}

function partOf(bytes: Buffer, buffer?: Buffer): Part {
  let isFree = buffer === undefined;
  const free = (): void => {
    if (!isFree) keep(buffer as Buffer); // it is free when there is none
    isFree = true;
  };
  return { bytes, free };
}

function keep(buffer: Buffer): void {
  if (kept.length < KEPT_BUFFERS) kept.push(buffer);
  expiry ??= setTimeout(() => kept.splice(0), KEPT_MS).unref();
  expiry.refresh();
}

function freeing(part: Part): (error: unknown) => never {
  return (error) => {
    part.free();
    throw error;
  };
}
