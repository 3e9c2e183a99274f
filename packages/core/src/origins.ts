/** Where each setting of a program comes from: for `--check`. */

import type { ConfigFile } from "./config-file.ts";
import type { Key } from "./config-keys.ts";
import type { Env } from "./env.ts";

export interface Origin {
  readonly name: string;
  /** `(set)` for what is secret. */
  readonly value: string;
  /** `--port`, `PORT`, `mikcar.yaml: port` or `default`. */
  readonly from: string;
}

export interface Sources {
  /** Of the command line. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly environment: Env;
  readonly file: ConfigFile | undefined;
  /** What of the file counts. */
  readonly fromFile: Env;
  /** Services that flags name. */
  readonly chosen: readonly string[];
}

/** In the order of the keys; an empty variable counts as unset. */
export function originsOf(keys: readonly Key[], sources: Sources): Origin[] {
  return [services(sources), ...keys.map((key) => origin(key, sources))];
}

function services({ chosen, file }: Sources): Origin {
  if (chosen.length > 0) return { name: "services", value: chosen.join(", "), from: "flags" };
  const list = file?.services ?? [];
  if (list.length > 0) return { name: "services", value: list.join(", "), from: `${file?.path}: services` };
  return { name: "services", value: "all there are", from: "default" };
}

function origin(key: Key, { values, environment, file, fromFile }: Sources): Origin {
  const { name, flag, variable, also = [], fallback } = key;
  const show = (value: string): string => (key.isSecret ? "(set)" : value);
  const given = flag === undefined ? undefined : values[flag];
  if (given !== undefined) return { name, value: show(String(given)), from: `--${flag}` };
  const variables = variable === undefined ? [] : [variable, ...also].flatMap((one) => [one, `${one}_FILE`]);
  const set = variables.find((one) => environment[one]);
  if (set !== undefined) return { name, value: show(environment[set] ?? ""), from: set };
  const inFile = variables.find((one) => fromFile[one] !== undefined);
  if (inFile !== undefined) {
    const suffix = inFile.endsWith("_FILE") ? "_file" : "";
    return { name, value: show(fromFile[inFile] ?? ""), from: `${file?.path}: ${name}${suffix}` };
  }
  if (name === "no_auth" && file?.noAuth === true) return { name, value: "true", from: `${file.path}: no_auth` };
  return { name, value: fallback, from: "default" };
}
