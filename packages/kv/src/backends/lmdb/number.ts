/** Whole numbers as eight bytes that sort as the numbers do. */

export function writeNumber(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

export function readNumber(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE());
}
