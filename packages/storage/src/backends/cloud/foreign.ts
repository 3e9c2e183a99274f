import { MikcarError } from "@mikcar/core";

/** Of an answer that something else gave than the store: a page that asks for a login, say. @param what As a sentence. */
export function foreign(what: string, options?: ErrorOptions): MikcarError {
  return new MikcarError("BAD_GATEWAY", `${what}: look what is between the sidecar and the store`, options);
}
