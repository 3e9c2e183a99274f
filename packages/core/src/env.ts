/** Reading environment variables. */

import { readFileSync, statSync } from "node:fs";
import { configError } from "./errors.ts";

/** Of a file that holds a secret. */
const FILE_BYTES = 1024 * 1024;

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * A variable that may hold a secret: its value, or the content of the file that `NAME_FILE` names, without the line
 * breaks at its end. An empty variable counts as unset.
 * @throws CONFIG_ERROR when both are set, or the file cannot be read, is empty (a secret that was to be there is not) or is
 * larger than 1 MiB.
 */
export function readSecret(env: Env, name: string): string | undefined {
  const file = env[`${name}_FILE`] || undefined;
  const value = env[name] || undefined;
  if (file === undefined) return value;
  if (value !== undefined) throw configError(`${name} and ${name}_FILE are both set; keep one of them`);
  let text: string | undefined;
  try {
    const isTooLarge = statSync(file).size > FILE_BYTES;
    text = isTooLarge ? undefined : readFileSync(file, "utf8").replace(/[\r\n]+$/, "");
  } catch (cause) {
    throw configError(`${name}_FILE: cannot read "${file}" (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      cause,
    });
  }
  if (text === undefined) throw configError(`${name}_FILE: "${file}" is larger than 1 MiB; is it the right file?`);
  if (text === "")
    throw configError(`${name}_FILE: "${file}" is empty; write the value into it, or leave the variable out`);
  return text;
}

/**
 * A variable that holds a whole number; `fallback` when it is unset or empty.
 * @throws CONFIG_ERROR naming the variable, in `details.variable` too, when it is no integer from `min` to `max`.
 */
export function readInteger(env: Env, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw configError(`${name} is "${text}"; expected an integer from ${min} to ${max}`, { details: { variable: name } });
}
