/** Parameters into the text that Postgres reads as whatever type it expects. */

import type { Param } from "../../backend.ts";
import { sqlError } from "../../errors.ts";
import { stringifyExact } from "../../json.ts";
import type { PgType } from "./types.ts";

/** Arrays have two text forms, JSON and Postgres's own; only the type of the parameter tells which is meant. */
export function hasArray(params: readonly Param[]): boolean {
  return params.some(Array.isArray);
}

/** @param types Of the parameters, where they are known; only arrays need them. */
export function encodeParams(params: readonly Param[], types: readonly (PgType | undefined)[]): (string | null)[] {
  return params.map((param, index) => encode(param, types[index]));
}

function encode(param: Param, type: PgType | undefined): string | null {
  if (param === null) return null;
  if (typeof param === "string") {
    if (param.includes("\0")) throw sqlError("a parameter has a NUL character", { sqlstate: "22021" });
    return param;
  }
  if (typeof param !== "object") return String(param);
  if (Array.isArray(param) && type?.element !== undefined) return arrayText(param, type.element, type.delimiter ?? ",");
  return stringifyExact(param);
}

/** An array in an array of JSON is an element of it; in any other it is a dimension more. */
function arrayText(items: readonly Param[], element: PgType, delimiter: string): string {
  const texts = items.map((item) => {
    if (item === null) return "NULL";
    if (Array.isArray(item) && element.kind !== "json") return arrayText(item, element, delimiter);
    const text = typeof item === "string" && element.kind === "json" ? JSON.stringify(item) : encode(item, undefined);
    return `"${(text ?? "").replaceAll(/["\\]/g, "\\$&")}"`;
  });
  return `{${texts.join(delimiter)}}`;
}
