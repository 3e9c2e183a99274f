/** Names of secrets: what they may be, and how they lie below a prefix. */

import { type ConfigUrl, configError } from "@mikcar/core";

const SEGMENT = "(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+";
const NAME = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`);
/** Well below what each backend takes. */
const MAX_LENGTH = 200;

/** What is wrong with a name, or undefined. It is ASCII, so its characters are its bytes. */
export function nameFault(name: string): string | undefined {
  if (name.length > MAX_LENGTH) return `a name has at most ${MAX_LENGTH} characters`;
  return NAME.test(name)
    ? undefined
    : "a name is letters, digits, '.', '_' and '-', in segments joined by '/'; none is '.' or '..'";
}

/** True for what can be the name of a secret here: other programs may have stored some under other names. */
export function isName(name: string): boolean {
  return nameFault(name) === undefined;
}

/** The path of a URL, below which all names lie; empty: there is none. @throws CONFIG_ERROR when it could be no name. */
export function prefixOf({ scheme, path }: ConfigUrl): string {
  const prefix = path.replaceAll(/^\/|\/$/g, "");
  const fault = prefix === "" ? undefined : nameFault(prefix);
  if (fault === undefined) return prefix;
  throw configError(`${scheme}: the path is "${prefix}": ${fault}`);
}

/** The beginning that all names below a prefix share: with its `/`, or empty for all names. */
export function folderOf(prefix: string): string {
  return prefix === "" ? "" : `${prefix}/`;
}

/** By their bytes. */
export function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name < other.name ? -1 : Number(one.name > other.name);
}
