/** The key of an encrypted file: from a variable, or from a file beside it that only its owner can read. */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { configError, type Env, isMikcarError, readSecret } from "@mikcar/core";

const KEY_BYTES = 32;
const HOW = "make one with: openssl rand -hex 32";

/** @throws CONFIG_ERROR naming the variable when it is set to something else than a key. */
export function keyOfVariable(env: Env, variable: string): Buffer | undefined {
  const text = readSecret(env, variable);
  if (text === undefined) return undefined;
  const key = parseKey(text);
  if (key !== undefined) return key;
  throw configError(`${variable}: expected ${KEY_BYTES} bytes as 64 hexadecimal digits or as base64; ${HOW}`, {
    details: { variable },
  });
}

/** Where the key of a file lies, unless a variable has it. */
export function keyPath(path: string): string {
  return `${path}.key`;
}

/** Where its next key lies while it is changed. */
export function newKeyPath(path: string): string {
  return `${keyPath(path)}.new`;
}

/** The keys beside a file, of which one opens it: two when a change of the key was cut off. @throws CONFIG_ERROR as `keyOfFile`. */
export function fileKeys(path: string): Buffer[] {
  const key = keyOfFile(keyPath(path));
  return [key, key === undefined ? keyOfFile(newKeyPath(path)) : keyIfWhole(newKeyPath(path))].filter(
    (one) => one !== undefined,
  );
}

/** As `keyOfFile`; undefined too for a file that holds no key, as the other one opens the secrets then. */
function keyIfWhole(path: string): Buffer | undefined {
  try {
    return keyOfFile(path);
  } catch (error) {
    if (isMikcarError(error)) return undefined;
    throw error;
  }
}

/** Undefined when there is no such file. @throws CONFIG_ERROR when others can read it, or it holds no key. */
export function keyOfFile(path: string): Buffer | undefined {
  const text = readOwn(path);
  if (text === undefined) return undefined;
  const key = parseKey(text.trim());
  if (key === undefined) throw configError(`the key file "${path}" holds no key; put its copy back`);
  return key;
}

/**
 * Writes a new key to a file of mode 0600, with its folder. Another process may do the same at once: the one that is
 * first wins.
 */
export function makeKeyFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  writeDraft(draft, randomBytes(KEY_BYTES));
  try {
    linkSync(draft, path); // with its content, or not at all
    syncFolder(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Whole or not at all, and on the disk when this returns. */
export function writeKeyFile(path: string, key: Buffer): void {
  const draft = `${path}.${process.pid}`;
  writeDraft(draft, key);
  renameSync(draft, path);
  syncFolder(path);
}

function writeDraft(path: string, key: Buffer): void {
  const file = openSync(path, "w", 0o600);
  try {
    writeSync(file, `${key.toString("hex")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What has happened to the names in the folder of `path` is on the disk when this returns. */
export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function parseKey(text: string): Buffer | undefined {
  const encoding = /^[0-9a-f]{64}$/i.test(text) ? "hex" : /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? "base64" : undefined;
  return encoding === undefined ? undefined : Buffer.from(text, encoding);
}

function readOwn(path: string): string | undefined {
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw configError(`others can read the key file "${path}"; run: chmod 600 ${path}`);
    }
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EACCES")
      throw configError(`the key file "${path}" cannot be read; it belongs to another user`, { cause: error });
    throw error;
  }
}
