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

/** Runs a script by its digest; a server that does not know it yet is sent the text. @param send As `Connection.send`. */
export async function runScript(
  send: (words: Words) => Promise<unknown>,
  { text, sha }: Script,
  keys: Words,
  args: Words,
): Promise<unknown> {
  try {
    return await send(["EVALSHA", sha, String(keys.length), ...keys, ...args]);
  } catch (error) {
    if (!(error instanceof ErrorReply && error.message.startsWith("NOSCRIPT"))) throw error;
    return send(["EVAL", text, String(keys.length), ...keys, ...args]);
  }
}
