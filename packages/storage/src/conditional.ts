/** What a GET or HEAD asks for beyond the path: conditions and a range, weighed in the order of RFC 9110, 13.2.2. */

import type { IncomingHttpHeaders } from "node:http";
import { holds, MikcarError, preconditionFailed, type Preconditions, preconditions } from "@mikcar/core";
import type { ObjectInfo, ReadConditions, ReadRequest, Slice } from "./backend.ts";
import { parseRange, resolveRange } from "./range.ts";

/** The bytes to send, and the status they go out with; a 304 sends none. */
export interface Selection extends Slice {
  readonly status: 200 | 206 | 304;
}

const NOT_MODIFIED: Selection = { status: 304, start: 0, end: 0 };

/** @throws BAD_REQUEST for entity tags that are none; a date that is none is ignored, as the RFC asks. */
export function readRequest(headers: IncomingHttpHeaders): ReadRequest<Selection> {
  const conditions = readConditions(headers);
  const range = headers.range === undefined ? undefined : parseRange(headers.range);
  const ifRange = headers["if-range"] as string | undefined; // only Set-Cookie comes as a list
  return {
    conditions,
    range,
    select: (info) => {
      if (conditions !== undefined && isUnchanged(conditions, info)) return NOT_MODIFIED;
      const whole: Selection = { status: 200, start: 0, end: info.size };
      if (range === undefined || (ifRange !== undefined && !isSameVersion(ifRange, info))) return whole;
      const slice = resolveRange(range, info.size);
      if (slice === undefined) throw unsatisfiable(info.size);
      return { status: 206, ...slice };
    },
  };
}

/** Whether the reader has this version already. @throws PRECONDITION_FAILED when it asked for another one. */
export function isUnchanged(conditions: ReadConditions, info: ObjectInfo): boolean {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch !== undefined) requireHolds({ ifMatch }, info.eTag);
  else if (ifUnmodifiedSince !== undefined && seconds(info.lastModified) > seconds(ifUnmodifiedSince)) throw changed();
  if (ifNoneMatch !== undefined) return !holds({ ifNoneMatch }, info.eTag);
  return ifModifiedSince !== undefined && seconds(info.lastModified) <= seconds(ifModifiedSince);
}

/** @param eTag Of the present version, undefined when there is none. @throws PRECONDITION_FAILED */
export function requireHolds(conditions: Preconditions | undefined, eTag: string | undefined): void {
  if (conditions !== undefined && !holds(conditions, eTag)) throw changed();
}

/** The conditions of a reader; undefined when there are none. @throws BAD_REQUEST */
export function readConditions(headers: IncomingHttpHeaders): ReadConditions | undefined {
  const ifModifiedSince = date(headers["if-modified-since"]);
  const ifUnmodifiedSince = date(headers["if-unmodified-since"]);
  const tags = preconditions(headers);
  if (tags === undefined && ifModifiedSince === undefined && ifUnmodifiedSince === undefined) return undefined;
  return {
    ...tags,
    ...(ifModifiedSince === undefined ? {} : { ifModifiedSince }),
    ...(ifUnmodifiedSince === undefined ? {} : { ifUnmodifiedSince }),
  };
}

function isSameVersion(ifRange: string, info: ObjectInfo): boolean {
  if (ifRange.startsWith('"')) return ifRange === `"${info.eTag}"`; // a weak tag never allows a range: RFC 9110, 13.1.5
  return date(ifRange)?.getTime() === seconds(info.lastModified) * 1000;
}

/** HTTP dates know no fractions. */
function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function date(header: string | undefined): Date | undefined {
  const time = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(time) ? undefined : new Date(time);
}

function changed(): MikcarError {
  return preconditionFailed("the object is not, or no longer, what the conditions of this call ask for");
}

function unsatisfiable(size: number): MikcarError {
  return new MikcarError("RANGE_NOT_SATISFIABLE", `the range begins beyond the ${size} bytes of the object`, {
    headers: { "Content-Range": `bytes */${size}`, "Accept-Ranges": "bytes" },
    details: { size },
  });
}
