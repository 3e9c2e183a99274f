/** The encrypted file under another key. It can be cut off at any moment: one of the keys that are there opens the file. */

import { randomBytes } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { configError, type Env } from "@mikcar/core";
import { fileKeys, keyOfVariable, keyPath, newKeyPath, syncFolder, writeKeyFile } from "./key.ts";
import { locked } from "./lock.ts";
import { type Content, unseal } from "./seal.ts";
import { lockPath, replaceFile } from "./store.ts";

/**
 * From `SECRETS_KEY`, or the key file, to `NEW_SECRETS_KEY`, or a new key file. A program that runs on a key file goes on
 * with the new one. @returns What to do next. @throws CONFIG_ERROR when the file does not open, or a key is missing.
 */
export async function rekeyFile(path: string, env: Env): Promise<string> {
  const oldKey = keyOfVariable(env, "SECRETS_KEY");
  const newKey = keyOfVariable(env, "NEW_SECRETS_KEY");
  if (oldKey !== undefined && newKey === undefined) {
    throw configError("NEW_SECRETS_KEY is not set; the key is in SECRETS_KEY, so the new one comes in a variable too");
  }
  return locked(lockPath(path), async () => {
    const { content, key } = await openWith(path, oldKey === undefined ? fileKeys(path) : [oldKey]);
    // An earlier change may have been cut off before its last step: then the right key is in the new file.
    if (oldKey === undefined) writeKeyFile(keyPath(path), key);
    const next = { ...content, generation: content.generation + 1 };
    if (newKey === undefined) return withKeyFile(path, next);
    await replaceFile(path, next, newKey);
    for (const file of [keyPath(path), newKeyPath(path)]) rmSync(file, { force: true });
    return `"${path}" has the new key; set SECRETS_KEY to it from now on`;
  });
}

async function withKeyFile(path: string, content: Content): Promise<string> {
  const key = randomBytes(32);
  writeKeyFile(newKeyPath(path), key);
  await replaceFile(path, content, key);
  renameSync(newKeyPath(path), keyPath(path));
  syncFolder(path);
  return `"${path}" has a new key, in "${keyPath(path)}"; keep a copy of it elsewhere`;
}

async function openWith(path: string, keys: readonly Buffer[]): Promise<{ content: Content; key: Buffer }> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw configError(`"${path}" cannot be read (${cause.code}); is SECRETS_URL right?`, { cause });
  });
  for (const key of keys) {
    const content = unseal(bytes, key);
    if (typeof content !== "string") return { content, key };
  }
  throw configError(
    `"${path}" does not open with the key in ${keys.length === 0 ? `"${keyPath(path)}", which is not there` : "use"}`,
  );
}
