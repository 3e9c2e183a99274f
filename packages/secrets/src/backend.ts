/** What a place for secrets does; see `docs/contract.md`, section 7. */

import type { Backend } from "@mikcar/core";

/** Small facts about a secret, by name; not secret themselves. */
export type Labels = Readonly<Record<string, string>>;

export interface Version {
  /** As the backend counts: `7`, or an id. */
  readonly version: string;
  readonly createdAt: Date;
}

/** A secret without its value. */
export interface Entry {
  readonly name: string;
  /** The newest. */
  readonly version: string;
  readonly createdAt: Date;
  /** When its version was made. */
  readonly updatedAt: Date;
}

export interface Secret extends Entry {
  readonly value: string;
  /** Undefined: whoever the sidecar is there may read the value, and not the labels. */
  readonly labels: Labels | undefined;
}

/** A stretch of a listing. */
export interface Page {
  /** Names after this one only; absent: from the beginning. */
  readonly after?: string;
  /** At most so many; absent: all. */
  readonly limit?: number;
}

/**
 * Names come checked (`isName`), values have 1 to 65 536 bytes. Every method may throw UNAVAILABLE (no answer, sealed) and
 * BAD_GATEWAY (the sidecar's own credentials were refused); a writing one UNSUPPORTED where nothing can be written.
 */
export interface SecretsBackend extends Backend {
  /** Undefined when the secret, or that version of it, is absent. @param version Absent: the newest. */
  read(name: string, version?: string): Promise<Secret | undefined>;
  /** False when it exists already; then nothing has changed. @throws UNSUPPORTED for labels that have no place here. */
  create(name: string, value: string, labels: Labels): Promise<boolean>;
  /** Adds a version. False when the secret is absent; then nothing has changed. @param labels Absent: they stay as they are. */
  update(name: string, value: string, labels: Labels | undefined): Promise<boolean>;
  /** All versions of it. False when it was absent. */
  remove(name: string): Promise<boolean>;
  exists(name: string): Promise<boolean>;
  /** In order of their names. @param prefix `team/app` means `team/app/…`; empty: all. */
  list(prefix: string, page: Page): Promise<readonly Entry[]>;
  /** The newest first; undefined when the secret is absent. */
  versions(name: string): Promise<readonly Version[] | undefined>;
}
