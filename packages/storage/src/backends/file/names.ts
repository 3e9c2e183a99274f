/**
 * Object paths as file names, so that a person can browse the folder: `a/b.txt` is the file `a/b.txt`.
 * A `%` in a file name is always ours: `%25` for a literal one, other escapes where a name would clash, `%+` at the end
 * of a folder that holds the rest of a long segment, `%object` behind the name of an object beside a folder of that name.
 */

import { pathFault } from "../../path.ts";

/** Our own folder in the root. */
export const PRIVATE = ".mikcar";
/** `x` is a folder: then the object `x` is the file `x%object`. */
export const ASIDE = "%object";

const CONTINUES = "%+";
const MAX_NAME_BYTES = 240; // of the 255 a file system takes, with room for a suffix
const TOKEN = /%[0-9A-F]{2}|./gsu;

/** Turns paths into names and back. */
export class Names {
  readonly #toEscape: RegExp;

  /** @param isFolding The file system takes `A` for `a` or one Unicode form for another, so that only plain names are safe. */
  constructor(isFolding: boolean) {
    this.#toEscape = isFolding ? /[^a-z0-9._-]/gu : /%/g;
  }

  /** Folder names, then the file's name. */
  encode(path: string): string[] {
    return path.split("/").flatMap((segment, index) => split(this.#escape(segment, index === 0)));
  }

  /** The path of a file found under `names`; undefined for a file that no path leads to. */
  decode(names: readonly string[]): string | undefined {
    const plain = names.map((name, index) =>
      index === names.length - 1 && name.endsWith(ASIDE) ? name.slice(0, -ASIDE.length) : name,
    );
    const path = unescape(
      plain.map((name) => (name.endsWith(CONTINUES) ? name.slice(0, -CONTINUES.length) : `${name}/`)).join(""),
    );
    if (path === undefined || pathFault(path) !== undefined) return undefined;
    return this.encode(path).join("/") === plain.join("/") ? path : undefined;
  }

  #escape(segment: string, isFirst: boolean): string {
    const escaped = segment.replace(this.#toEscape, escape);
    return isFirst && escaped === PRIVATE ? `%2E${PRIVATE.slice(1)}` : escaped;
  }
}

function escape(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

function unescape(text: string): string | undefined {
  try {
    return decodeURIComponent(text.slice(0, -1)); // without the slash behind the last name
  } catch {
    return undefined; // a stray %: not a name of ours
  }
}

function split(segment: string): string[] {
  if (Buffer.byteLength(segment) <= MAX_NAME_BYTES) return [segment];
  const names: string[] = [];
  let name = "";
  let bytes = 0;
  for (const [token] of segment.matchAll(TOKEN)) {
    bytes += Buffer.byteLength(token);
    if (bytes > MAX_NAME_BYTES) {
      names.push(name + CONTINUES);
      name = "";
      bytes = Buffer.byteLength(token);
    }
    name += token;
  }
  return [...names, /^\.\.?$/.test(name) ? name.replaceAll(".", "%2E") : name]; // what is left may be dots
}
