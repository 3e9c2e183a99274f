/** URLs that open one route for a while without a token. */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { forbidden, type MikcarError } from "./errors.ts";

const EXPIRES = "mikcar-expires";
const METHOD = "mikcar-method";
const SIGNATURE = "mikcar-signature";
const BY = "mikcar-by";

/**
 * Signs with HMAC-SHA-256 under a key made from a token, so that replacing the token also ends every URL it has signed.
 * Without a token the key is random and ends with the process.
 */
export class UrlSigner {
  readonly #key: Buffer;
  readonly #id: string;

  /** @param id Tells in the URL which token signed; empty where there is one alone. */
  constructor(token: string | undefined, id = "") {
    this.#key = token === undefined ? randomBytes(32) : createHmac("sha256", token).update("mikcar url").digest();
    this.#id = id;
  }

  /** Of the token that signed `url`; undefined when it carries no signature at all. */
  static idOf(url: string): string | undefined {
    const question = url.indexOf("?");
    if (question === -1 || !url.includes(SIGNATURE, question)) return undefined;
    return new URLSearchParams(url.slice(question + 1)).get(BY) ?? "";
  }

  /** @returns `path`, percent-encoded, with its signature as query. @param path Decoded, with its leading slash. */
  sign(method: string, path: string, expiresAt: Date): string {
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    const expires = String(Math.floor(expiresAt.getTime() / 1000));
    const signature = this.#digest(method, encoded, expires).toString("base64url");
    const by = this.#id === "" ? "" : `&${BY}=${this.#id}`;
    return `${encoded}?${METHOD}=${method}&${EXPIRES}=${expires}${by}&${SIGNATURE}=${signature}`;
  }

  /**
   * What is wrong with the signature on `url`, undefined when nothing is. A URL signed for GET also answers HEAD. The path
   * must be spelt as it was signed.
   */
  verify(method: string, url: string): MikcarError | undefined {
    const question = url.indexOf("?");
    const query = new URLSearchParams(url.slice(question + 1));
    const signed = query.get(METHOD) ?? "";
    const expires = query.get(EXPIRES) ?? "";
    const expected = this.#digest(signed, url.slice(0, question), expires);
    const given = Buffer.from(query.get(SIGNATURE) ?? "", "base64url");
    const isGenuine = given.length === expected.length && timingSafeEqual(given, expected);
    if (!isGenuine) return forbidden("this signed URL was altered or signed with another token; ask for a new one");
    if (Number(expires) * 1000 <= Date.now()) return forbidden("this signed URL has expired; ask for a new one");
    const isAllowed = signed === method || (signed === "GET" && method === "HEAD");
    return isAllowed ? undefined : forbidden(`this signed URL is for ${signed} only`);
  }

  #digest(method: string, path: string, expires: string): Buffer {
    return createHmac("sha256", this.#key).update(`${method}\n${path}\n${expires}`).digest();
  }
}
