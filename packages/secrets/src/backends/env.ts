/**
 * Secrets in the variables of this process, for reading: `env://PREFIX_`. The prefix is needed, or all of them would show.
 * The secret `db/password` is the variable `PREFIX_db__password`: two underscores stand for the `/`.
 */

import { configError, type Env, type Open, unsupported } from "@mikcar/core";
import type { Entry, Page, Secret, SecretsBackend, Version } from "../backend.ts";
import { byName, folderOf, isName } from "../name.ts";

export const open: Open<SecretsBackend> = async ({ host, path }) => {
  if (host === "" || path.replace("/", "") !== "") {
    throw configError("env: expected the beginning of the variables' names, as in env://APP_");
  }
  return new EnvSecrets(host, process.env);
};

/** Of this process, where the system does not tell. */
const STARTED_AT = new Date(Math.floor(performance.timeOrigin));

/** For tests: on variables of one's own. */
export class EnvSecrets implements SecretsBackend {
  readonly #prefix: string;
  readonly #env: Env;

  constructor(prefix: string, env: Env) {
    this.#prefix = prefix;
    this.#env = env;
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  async read(name: string, version = "env"): Promise<Secret | undefined> {
    const value = this.#value(name);
    return value === undefined || version !== "env" ? undefined : { ...entry(name), value, labels: {} };
  }

  async exists(name: string): Promise<boolean> {
    return this.#value(name) !== undefined;
  }

  async list(prefix: string, { after = "", limit }: Page): Promise<readonly Entry[]> {
    return Object.keys(this.#env)
      .filter((variable) => variable.startsWith(this.#prefix))
      .map((variable) => nameOf(variable.slice(this.#prefix.length)))
      .filter(
        (name) => isName(name) && name.startsWith(folderOf(prefix)) && name > after && this.#value(name) !== undefined,
      )
      .map(entry)
      .sort(byName)
      .slice(0, limit);
  }

  async versions(name: string): Promise<readonly Version[] | undefined> {
    return this.#value(name) === undefined
      ? undefined
      : [entry(name)].map(({ version, createdAt }) => ({ version, createdAt }));
  }

  create(): Promise<boolean> {
    return refuse();
  }

  update(): Promise<boolean> {
    return refuse();
  }

  remove(): Promise<boolean> {
    return refuse();
  }

  /** Undefined too for an empty variable, as shells cannot tell it from an absent one, and for a name no variable has. */
  #value(name: string): string | undefined {
    const rest = variableOf(name);
    return nameOf(rest) === name ? this.#env[this.#prefix + rest] || undefined : undefined;
  }
}

function variableOf(name: string): string {
  return name.replaceAll("/", "__");
}

function nameOf(variable: string): string {
  return variable.replaceAll("__", "/");
}

function entry(name: string): Entry {
  return { name, version: "env", createdAt: STARTED_AT, updatedAt: STARTED_AT };
}

async function refuse(): Promise<never> {
  throw unsupported("variables can only be read; set SECRETS_URL to a backend that writes");
}
