/** What Azure takes for a name: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata */

import { badRequest } from "@mikcar/core";
import { decode, encode } from "../cloud/words.ts";

const CONTAINER = /^(?:(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$web)$/;
const MAX_SEGMENTS = 254;
/** Azure drops a name without a value. */
const EMPTY = "=?UTF-8?B??=";
const MAX_METADATA_BYTES = 8192; // https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources

export function isContainer(name: string): boolean {
  return CONTAINER.test(name);
}

/**
 * Azure drops dots at the end of a segment, so `a.` would be written over `a`:
 * https://github.com/Azure/azure-sdk-for-java/issues/36674
 * @returns `name` itself. @throws BAD_REQUEST
 */
export function checkName(name: string): string {
  const segments = name.split("/");
  if (segments.some((segment) => segment.endsWith("."))) {
    throw badRequest("the path has a segment that ends in a dot, which Azure drops");
  }
  if (segments.length > MAX_SEGMENTS) {
    throw badRequest(`the path has ${segments.length} segments with its prefix; Azure takes ${MAX_SEGMENTS}`);
  }
  return name;
}

/**
 * Metadata as Azure keeps it, whose names are identifiers of C#: another character, a digit at the beginning, and the `_`
 * of what looks like such a code are `__` and their code in two hexadecimal digits.
 * @throws BAD_REQUEST for more than Azure keeps.
 */
export function kept(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(metadata).map(
    ([name, value]) => [keptName(name), value === "" ? EMPTY : encode(value)] as const,
  );
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes <= MAX_METADATA_BYTES) return Object.fromEntries(entries);
  throw badRequest(`the X-Meta-* headers take ${bytes} bytes in Azure's form; it keeps ${MAX_METADATA_BYTES}`);
}

export function metadataOf(found: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(found ?? {}).map(([name, value]) => [plainName(name.toLowerCase()), decode(value)]),
  );
}

function keptName(name: string): string {
  if (name === "") return "__00";
  const kept = name.replaceAll(/^[0-9]|[^a-z0-9_]|_(?=_[0-9a-f]{2})/g, code);
  // What every object of JavaScript has by itself, the SDK does not read as metadata: `constructor`.
  return name in Object.prototype ? code(name.charAt(0)) + kept.slice(1) : kept;
}

function plainName(name: string): string {
  if (name === "__00") return "";
  return name.replaceAll(/__([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function code(character: string): string {
  return `__${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
