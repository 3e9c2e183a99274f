/** Lua scripts, which Redis runs as one step: https://redis.io/docs/latest/develop/programmability/eval-intro/ */

import { createHash } from "node:crypto";
import { ErrorReply } from "@redis/client";
import type { Words } from "./client.ts";

export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/**
 * Runs a script by its digest; a server that does not know it, after a restart, say, is sent the text.
 * @param send As `Connection.send`. @param words The number of keys, the keys, and the arguments.
 */
export async function runScript(
  send: (words: Words) => Promise<unknown>,
  { text, sha }: Script,
  words: Words,
): Promise<unknown> {
  try {
    return await send(["EVALSHA", sha, ...words]);
  } catch (error) {
    if (!(error instanceof ErrorReply && error.message.startsWith("NOSCRIPT"))) throw error;
    return send(["EVAL", text, ...words]);
  }
}
