/** Checksums a writer sends along with a body. */

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { badRequest, unprocessable } from "@mikcar/core";

interface Checksum {
  readonly header: string;
  readonly algorithm: "md5" | "sha256";
  readonly digest: Buffer;
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const HEX = /^[0-9a-f]*$/i;

/**
 * The checksums that came: `Content-MD5` in base64 (RFC 1864), `X-Checksum-Sha256` in hexadecimal or base64.
 * @throws BAD_REQUEST for text of another shape.
 */
export function checksums(headers: IncomingHttpHeaders): readonly Checksum[] {
  const md5 = headers["content-md5"];
  const sha256 = headers["x-checksum-sha256"];
  const found: Checksum[] = [];
  if (md5 !== undefined) found.push(checksum("Content-MD5", "md5", String(md5), 16));
  if (sha256 !== undefined) found.push(checksum("X-Checksum-Sha256", "sha256", String(sha256), 32));
  return found;
}

/**
 * `body`, whose last piece comes only when all checksums hold: a receiver that knows the length has never had it all.
 * @throws UNPROCESSABLE
 */
export async function* verified(body: AsyncIterable<Buffer>, expected: readonly Checksum[]): AsyncGenerator<Buffer> {
  const running = expected.map((one) => ({ ...one, hash: createHash(one.algorithm) }));
  let held: Buffer | undefined;
  for await (const chunk of body) {
    if (held !== undefined) yield held;
    held = chunk;
    for (const { hash } of running) hash.update(chunk);
  }
  for (const { header, hash, digest } of running) {
    if (!hash.digest().equals(digest))
      throw unprocessable(`the body does not have the checksum of its ${header} header`);
  }
  if (held !== undefined) yield held;
}

function checksum(header: string, algorithm: Checksum["algorithm"], text: string, bytes: 16 | 32): Checksum {
  const isHex = algorithm === "sha256" && text.length === 2 * bytes && HEX.test(text);
  const digest = Buffer.from(text, isHex ? "hex" : "base64");
  if (digest.length === bytes && (isHex || BASE64.test(text))) return { header, algorithm, digest };
  const shape = algorithm === "md5" ? "base64" : "hexadecimal or base64";
  throw badRequest(`${header}: expected ${bytes} bytes in ${shape}`);
}
