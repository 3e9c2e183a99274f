/** `init`: writes a configuration file in which everything is explained, and nothing but the services is set. */

import { writeFileSync } from "node:fs";
import { configKeys, type NamedService } from "./config-keys.ts";
import { configError } from "./errors.ts";

/** @param path Must not be there yet. @throws CONFIG_ERROR when it is, or cannot be written. */
export function writeConfigFile(path: string, program: string, services: readonly NamedService[]): void {
  try {
    writeFileSync(path, configText(path, program, services), { flag: "wx", mode: 0o600 }); // tokens may come into it
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") throw configError(`"${path}" is there already; name another one with --config`, { cause });
    throw configError(`cannot write "${path}" (${code})`, { cause });
  }
}

export function configText(path: string, program: string, services: readonly NamedService[]): string {
  const keys = configKeys(services).flatMap(({ name, summary, fallback, hasFile, example }) => [
    `# ${summary} (default: ${fallback})`,
    `# ${name}: ${example}`,
    ...(hasFile ? [`# ${name}_file: /run/secrets/${name}`] : []),
    "",
  ]);
  return [
    `# Configuration of ${program}: ${program} --config ${path}`,
    "# A flag counts before a variable of the environment, and that before this file. --check tells where each setting is from.",
    "",
    "# Which services run, or: all",
    `services: [${services.map(({ name }) => name).join(", ")}]`,
    "",
    ...keys,
    "# Any other variable",
    "# env:",
    "#   SQL_SCRIPT_TIMEOUT_MS: 3000",
    "",
  ].join("\n");
}
