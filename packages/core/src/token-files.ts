/** Tokens that files hold, read again when they change. */

import { type Env, readSecret } from "./env.ts";
import { isMikcarError, type MikcarError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Server } from "./server.ts";
import { authToken } from "./settings.ts";

const CHECK_MS = 1000;

/**
 * Reads them every second: they are short, and neither times nor links can deceive. What cannot be read or is wrong is told
 * in the log, and the tokens stay as they are.
 * @param known Those that the server runs with. @returns Ends it.
 */
export function followTokenFiles(
  env: Env,
  known: { readonly authToken: string | undefined; readonly tokens: string | undefined },
  server: Pick<Server, "setAuthToken" | "setTokens">,
  log: Log,
): () => void {
  const single = ["SIDECAR_TOKEN", "AUTH_TOKEN"].find((name) => env[name] || env[`${name}_FILE`]) ?? "";
  const followed = [
    new Followed("SIDECAR_TOKENS", known.tokens, () => readSecret(env, "SIDECAR_TOKENS"), server.setTokens),
    new Followed(single, known.authToken, () => authToken(env), server.setAuthToken),
  ].filter(({ name, text }) => env[`${name}_FILE`] && text !== undefined);
  const timer = setInterval(() => followed.forEach((one) => one.check(log)), CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

class Followed {
  readonly name: string;
  text: string | undefined;
  #fault = "";
  readonly #read: () => string | undefined;
  readonly #apply: (text: string) => void;

  constructor(name: string, text: string | undefined, read: () => string | undefined, apply: (text: string) => void) {
    this.name = name;
    this.text = text;
    this.#read = read;
    this.#apply = apply;
  }

  check(log: Log): void {
    const variable = `${this.name}_FILE`;
    try {
      const text = this.#read() ?? "";
      this.#fault = "";
      if (text === this.text) return;
      this.text = text; // what is wrong with it is told once
      this.#apply(text);
      log.info({ variable }, "the tokens were read anew");
    } catch (error) {
      if (!isMikcarError(error)) throw error;
      this.#tell(error, log, variable);
    }
  }

  #tell(error: MikcarError, log: Log, variable: string): void {
    if (error.message === this.#fault) return;
    this.#fault = error.message;
    log.error({ variable, err: error }, "the tokens stay as they were");
  }
}
