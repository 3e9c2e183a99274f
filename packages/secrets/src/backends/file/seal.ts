/**
 * The bytes of an encrypted file: a line that says what it is, the id of its key, a nonce, a tag, and all secrets as one
 * ciphertext of AES-256-GCM, so that a record cannot be read, changed, swapped with another or put back to an older one.
 * A nonce is fresh and random for each write; 2^32 of them are safe under one key:
 * https://csrc.nist.gov/pubs/sp/800/38/d/final, section 8.3.
 */

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Pages } from "../../book.ts";

/** What the file holds. */
export interface Content {
  /** Grows with each write. */
  readonly generation: number;
  readonly pages: Pages;
}

/** `wrong-key`: it was made with another; `damaged`: it is no file of ours, or has been changed. */
export type Fault = "wrong-key" | "damaged";

const MAGIC = Buffer.from("mikcar-secrets 1\n");
const ID_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = MAGIC.length + ID_BYTES;
const BODY_AT = HEAD_BYTES + NONCE_BYTES + TAG_BYTES;
const CIPHER = "aes-256-gcm";

export function seal(content: Content, key: Buffer): Buffer {
  const head = Buffer.concat([MAGIC, idOf(key)]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(head);
  const body = Buffer.concat([cipher.update(JSON.stringify(content), "utf8"), cipher.final()]);
  return Buffer.concat([head, nonce, cipher.getAuthTag(), body]);
}

export function unseal(bytes: Buffer, key: Buffer): Content | Fault {
  if (bytes.length < BODY_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return "damaged";
  const head = bytes.subarray(0, HEAD_BYTES);
  if (!head.subarray(MAGIC.length).equals(idOf(key))) return "wrong-key";
  const nonce = bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(head);
  decipher.setAuthTag(bytes.subarray(HEAD_BYTES + NONCE_BYTES, BODY_AT));
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(BODY_AT)), decipher.final()]).toString();
    return JSON.parse(text) as Content; // whoever has the key has written it: it is authenticated
  } catch {
    return "damaged"; // the tag does not fit; there is no other reason to throw
  }
}

/** Tells keys apart, and nothing about them. */
function idOf(key: Buffer): Buffer {
  return createHash("sha256").update("mikcar-secrets key id").update(key).digest().subarray(0, ID_BYTES);
}
