/** Bodies in parts of one size, as stores behind a network take them. */

/** The whole body, when it fits into one part; else its parts, of which each but the last is of that size. */
export type Cut = { readonly whole: Buffer } | { readonly parts: AsyncGenerator<Buffer> };

/** Reads until it knows which of both it is. @throws what the body throws. */
export async function cutBody(body: AsyncIterable<Buffer>, partBytes: number): Promise<Cut> {
  const parts = partsOf(body, partBytes);
  const first = await parts.next();
  if (first.done === true) return { whole: Buffer.alloc(0) };
  const second = await parts.next();
  if (second.done === true) return { whole: first.value };
  return { parts: joined([first.value, second.value], parts) };
}

async function* partsOf(body: AsyncIterable<Buffer>, partBytes: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (let chunk of body) {
    while (heldBytes + chunk.length >= partBytes) {
      const fitting = chunk.subarray(0, partBytes - heldBytes);
      chunk = chunk.subarray(fitting.length);
      const part = Buffer.concat([...held, fitting], partBytes);
      held = [];
      heldBytes = 0;
      yield part;
    }
    if (chunk.length === 0) continue;
    held.push(chunk);
    heldBytes += chunk.length;
  }
  if (heldBytes > 0) yield held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held, heldBytes);
}

async function* joined(read: Buffer[], rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    for (let part = read.shift(); part !== undefined; part = read.shift()) yield part; // none is kept longer than needed
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
