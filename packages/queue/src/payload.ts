/** What a message is on the wire: JSON text. */

import { isUtf8 } from "node:buffer";

/** JSON stays as it is, to the last digit; other text becomes `{"data": "…"}`, other bytes `{"base64": "…"}`. */
export function asJson(body: Buffer): string {
  if (!isUtf8(body)) return `{"base64":"${body.toString("base64")}"}`;
  const text = body.toString();
  return isJson(text) ? text : `{"data":${JSON.stringify(text)}}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // which is the question
  }
}
