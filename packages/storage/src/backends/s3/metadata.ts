/**
 * Metadata as S3 keeps it: up to 2 KB, names and values together, and in ASCII. Other values travel as RFC 2047 has it, as
 * S3 itself answers them: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
 */

import { badRequest } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import { encode, PLAIN } from "../cloud/words.ts";

const MAX_BYTES = 2048;

/** The headers as they are sent. @throws BAD_REQUEST for those that S3 does not keep. */
export function toWire(headers: ObjectHeaders): ObjectHeaders {
  if (!PLAIN.test(headers.contentType))
    throw badRequest("the Content-Type holds more than ASCII; S3 keeps no such type");
  if (!PLAIN.test(headers.cacheControl ?? "")) throw badRequest("the Cache-Control holds more than ASCII");
  let bytes = 0;
  const metadata: [string, string][] = [];
  for (const name in headers.metadata) {
    const value = encode(headers.metadata[name] as string); // for…in yields its keys
    metadata.push([name, value]);
    bytes += name.length + value.length;
  }
  if (metadata.length === 0) return headers;
  if (bytes > MAX_BYTES) {
    throw badRequest(`the X-Meta-* headers take ${bytes} bytes, encoded for S3; it keeps ${MAX_BYTES}`);
  }
  return { ...headers, metadata: Object.fromEntries(metadata) };
}
