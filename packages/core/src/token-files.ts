/** Tokens that files hold, read again when they change. */

import { unwatchFile, watchFile } from "node:fs";
import { type Env, readSecret } from "./env.ts";
import { isMikcarError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Server } from "./server.ts";
import { authToken } from "./settings.ts";

const CHECK_MS = 1000;

/**
 * Looks every second, which also sees what a mounted secret does: it changes a link, not the file. What cannot be read or
 * is wrong is told in the log, and the tokens stay as they are.
 * @returns Ends it.
 */
export function followTokenFiles(env: Env, hasFlag: boolean, server: Server, log: Log): () => void {
  const follow = (name: string, apply: () => void): (() => void) => {
    const file = env[`${name}_FILE`];
    if (!file) return () => undefined;
    const onChange = (): void => {
      try {
        apply();
        log.info({ variable: `${name}_FILE` }, "the tokens were read anew");
      } catch (error) {
        if (!isMikcarError(error)) throw error;
        log.error({ variable: `${name}_FILE`, err: error }, "the tokens stay as they were");
      }
    };
    watchFile(file, { interval: CHECK_MS, persistent: false }, onChange);
    return () => unwatchFile(file, onChange);
  };
  const single = ["SIDECAR_TOKEN", "AUTH_TOKEN"].find((name) => env[name] || env[`${name}_FILE`]);
  const ends = [
    follow("SIDECAR_TOKENS", () => server.setTokens(readSecret(env, "SIDECAR_TOKENS") ?? "")),
    ...(hasFlag || single === undefined ? [] : [follow(single, () => server.setAuthToken(authToken(env) ?? ""))]),
  ];
  return () => ends.forEach((end) => end());
}
