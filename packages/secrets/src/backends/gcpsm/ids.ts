/**
 * Names as secret ids, which have letters, digits, `_` and `-` alone: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create
 * `/` is `__2F` and `.` is `__2E`; a name that has such a text itself gets `__5F` for its first underscore. So a name
 * without `/` and `.` is its own id, and no two names share one.
 */

import { unsupported } from "@mikcar/core";

const MAX_ID_LENGTH = 255;
const CODES: Readonly<Record<string, string>> = { "/": "__2F", ".": "__2E" };
const CHARACTERS: Readonly<Record<string, string>> = { "2F": "/", "2E": ".", "5F": "_" };

/** @throws UNSUPPORTED for a name whose id is longer than the 255 characters there may be. */
export function idOf(name: string): string {
  const id = encode(name);
  if (id.length <= MAX_ID_LENGTH) return id;
  throw unsupported(`the name is too long for GCP: each '/' and '.' takes four of its ${MAX_ID_LENGTH} characters`);
}

export function nameOf(id: string): string {
  return id.replaceAll(/__(2F|2E|5F)/g, (_, code: string) => CHARACTERS[code] ?? "");
}

/** The beginning that the ids of all names below `folder` share. */
export function idPrefixOf(folder: string): string {
  return encode(folder);
}

function encode(text: string): string {
  return text.replaceAll(/_(?=_(?:2F|2E|5F))/g, "__5F").replaceAll(/[/.]/g, (character) => CODES[character] ?? "");
}
