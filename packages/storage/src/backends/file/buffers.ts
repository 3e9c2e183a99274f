/** Large buffers that are used again. As garbage they would make V8 collect all the time, for half the cost of a read. */

export const BUFFER_BYTES = 256 * 1024;
const MAX_IDLE = 64;

const idle: Buffer[] = [];

/** Of `BUFFER_BYTES`; what is in it is somebody else's. */
export function takeBuffer(): Buffer {
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

/** For the next taker. Nobody may look into it any more. */
export function giveBack(buffer: Buffer): void {
  if (idle.length < MAX_IDLE) idle.push(buffer);
}
