/** Entity tags and the preconditions made of them: RFC 9110, 8.8.3 and 13.1. */

import { badRequest } from "./errors.ts";

/** What must hold of the present state for a call to be carried out. Absent members ask nothing. */
export interface Preconditions {
  /** `*`: anything present; else one of these tags, without quotes. */
  readonly ifMatch?: "*" | readonly string[];
  /** `*`: nothing present; else none of these tags. */
  readonly ifNoneMatch?: "*" | readonly string[];
}

const TAGS = /^\s*(?:W\/)?"([^"]*)"\s*(?:,|$)/;

/**
 * Reads `If-Match` and `If-None-Match`. A weak tag counts as its strong twin: the only weak tags we hand out are those
 * of gzipped answers, and they stand for the same state.
 * @returns undefined when neither header is there. @throws BAD_REQUEST for text that is no list of tags.
 */
export function preconditions(headers: {
  readonly "if-match"?: string | undefined;
  readonly "if-none-match"?: string | undefined;
}): Preconditions | undefined {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: tags("If-Match", ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: tags("If-None-Match", ifNoneMatch) }),
  };
}

/** Whether the conditions hold. @param eTag Of the present state, without quotes; undefined when nothing is there. */
export function holds(conditions: Preconditions, eTag: string | undefined): boolean {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && !matches(ifMatch, eTag)) return false;
  return ifNoneMatch === undefined || !matches(ifNoneMatch, eTag);
}

function matches(wanted: "*" | readonly string[], eTag: string | undefined): boolean {
  return eTag !== undefined && (wanted === "*" || wanted.includes(eTag));
}

function tags(name: string, header: string): "*" | readonly string[] {
  if (header.trim() === "*") return "*";
  const found: string[] = [];
  let rest = header;
  while (rest.trim() !== "") {
    const tag = TAGS.exec(rest);
    if (tag === null) throw badRequest(`${name}: expected * or entity tags in double quotes, such as "abc"`);
    found.push(tag[1] as string); // the group is not optional
    rest = rest.slice(tag[0].length);
  }
  return found;
}
