/** Many calls in one request: https://cloud.google.com/storage/docs/batch */

import type { Complaint } from "./translate.ts";
import { messageOf } from "./translate.ts";

const BOUNDARY = "mikcar-batch";

/** @param lines `DELETE /storage/v1/b/bucket/o/key`, of calls without a body. */
export function batchOf(lines: readonly string[]): { readonly contentType: string; readonly body: Buffer } {
  const parts = lines.map(
    (line, index) =>
      `--${BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n` +
      `Content-ID: <mikcar+${index}>\r\n\r\n${line} HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\n`,
  );
  const contentType = `multipart/mixed; boundary=${BOUNDARY}`;
  return { contentType, body: Buffer.from(`${parts.join("")}--${BOUNDARY}--\r\n`) };
}

/**
 * What each call has been answered, in the order of asking; undefined where nothing was. Parts may come in any order.
 * @param text Of the answer; its first line is the boundary.
 */
export function outcomesOf(text: string, count: number): readonly (Complaint | undefined)[] {
  const outcomes: (Complaint | undefined)[] = Array.from({ length: count }, () => undefined);
  const [boundary = ""] = /^--[^\r\n]+/m.exec(text) ?? [];
  if (boundary === "") return outcomes;
  for (const part of text.split(boundary)) {
    const [, id] = /^content-id:\s*<response-mikcar\+(\d+)>/im.exec(part) ?? [];
    const [, code, reason = ""] = /^HTTP\/1\.[01] (\d{3})\s?([^\r\n]*)/m.exec(part) ?? [];
    if (id === undefined || code === undefined || Number(id) >= count) continue;
    const body = /^HTTP\/[\s\S]*?\r?\n\r?\n([\s\S]*)$/m.exec(part)?.[1] ?? "";
    outcomes[Number(id)] = { status: Number(code), code: `HTTP ${code}`, message: messageOf(body) || reason };
  }
  return outcomes;
}
