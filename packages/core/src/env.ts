/** Reading environment variables. */

import { readFileSync } from "node:fs";
import { configError } from "./errors.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * A variable that may hold a secret: its value, or the content of the file that `NAME_FILE` names, without the final
 * line break. Empty counts as unset.
 * @throws CONFIG_ERROR when both are set, or the file cannot be read.
 */
export function readSecret(env: Env, name: string): string | undefined {
  const file = env[`${name}_FILE`] || undefined;
  const value = env[name] || undefined;
  if (file === undefined) return value;
  if (value !== undefined) throw configError(`${name} and ${name}_FILE are both set; keep one of them`);
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "") || undefined;
  } catch (cause) {
    throw configError(`${name}_FILE: cannot read "${file}" (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      cause,
    });
  }
}
