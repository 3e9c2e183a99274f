/** The text form of values, as Postgres sends it, into JSON: no digit and no microsecond is lost on the way. */

import type { Column, Int64 } from "../../backend.ts";
import type { PgType } from "./types.ts";

/** A value's text to its JSON text. */
type Encode = (text: string) => string;

/** A field of a result as the protocol names it. */
export interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

export interface RowPlan {
  readonly columns: readonly Column[];
  /** @param values As they came, in the order of the columns. */
  toJson(values: readonly (string | null)[]): string;
}

/** How rows of these fields become objects; of two with one name the later wins. */
export function rowPlan(fields: readonly Field[], types: readonly (PgType | undefined)[], int64: Int64): RowPlan {
  const columns = fields.map(({ name }, index) => ({ name, type: types[index]?.name ?? "" }));
  const last = new Map(fields.map(({ name }, index) => [name, index]));
  const members = [...last].map(([name, index], at) => ({
    before: `${at === 0 ? "" : ","}${JSON.stringify(name)}:`,
    index,
    encode: encoder(types[index], int64),
  }));
  const toJson = (values: readonly (string | null)[]): string => {
    let json = "{";
    for (const { before, index, encode } of members) {
      const value = values[index];
      json += before + (value === null || value === undefined ? "null" : encode(value));
    }
    return `${json}}`;
  };
  return { columns, toJson };
}

function encoder(type: PgType | undefined, int64: Int64): Encode {
  if (type?.element !== undefined) return arrayEncoder(encoder(type.element, int64), type.delimiter ?? ",");
  if (type?.kind === "int8") return int64 === "string" ? quoteUnsafe : asItIs;
  return type === undefined ? quote : ENCODERS[type.kind];
}

const quote: Encode = (text) => JSON.stringify(text);
const asItIs: Encode = (text) => text;

const ENCODERS: Readonly<Record<PgType["kind"], Encode>> = {
  boolean: (text) => (text === "t" ? "true" : "false"),
  integer: asItIs,
  int8: asItIs,
  float: (text) => (/^-?\d/.test(text) ? text : quote(text)), // NaN and the infinities have no JSON number
  json: (text) => text.replaceAll(/[\r\n]/g, " "), // outside of strings only: in them they are escaped (RFC 8259, 7)
  timestamptz: timestamp,
  timestamp,
  bytea: (text) => `"${Buffer.from(text.slice(2), "hex").toString("base64")}"`,
  text: quote,
};

function quoteUnsafe(text: string): string {
  return text.length < 16 || Number.isSafeInteger(Number(text)) ? text : `"${text}"`;
}

/**
 * `2024-01-31 12:00:00.123456+00` to RFC 3339; what that cannot say (infinity, years before Christ) stays as it is.
 * The offset may lack its minutes: https://www.postgresql.org/docs/current/datatype-datetime.html
 */
function timestamp(text: string): string {
  if (!/^\d+-\d\d-\d\d \S+$/.test(text)) return quote(text);
  const joined = text.replace(" ", "T");
  if (joined.endsWith("+00")) return `"${joined.slice(0, -3)}Z"`;
  return `"${joined.replace(/([+-]\d\d)$/, "$1:00")}"`;
}

/** `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={a,b}`: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function arrayEncoder(encode: Encode, delimiter: string): Encode {
  return (text) => {
    let at = text.indexOf("{");
    const list = (): string => {
      const items: string[] = [];
      at += 1;
      while (text[at] !== "}") {
        items.push(text[at] === "{" ? list() : item());
        if (text[at] === delimiter) at += 1;
      }
      at += 1;
      return `[${items.join(",")}]`;
    };
    const item = (): string => {
      if (text[at] === '"') return encode(quoted());
      const start = at;
      while (text[at] !== delimiter && text[at] !== "}") at += 1;
      const value = text.slice(start, at);
      return value === "NULL" ? "null" : encode(value);
    };
    const quoted = (): string => {
      const start = at + 1;
      at = start;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      const value = text.slice(start, at).replaceAll(/\\(.)/gs, "$1");
      at += 1;
      return value;
    };
    return list();
  };
}
