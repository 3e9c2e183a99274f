/** Rows as JSON text, exact to the last digit. */

import type { SQLOutputValue, StatementSync } from "node:sqlite";

type Value = SQLOutputValue;
type Write = (value: Value, int64AsString: boolean) => string;

const LARGEST = BigInt(Number.MAX_SAFE_INTEGER);

/** The columns of one statement, and how each is written. */
export class Shape {
  /** How many columns a row has; 0: the statement gives none. */
  readonly width: number;
  readonly #names: readonly string[];
  readonly #declared: readonly (string | undefined)[];
  /** Those that stand in the object: of two with one name the later. */
  readonly #cells: readonly { readonly index: number; readonly key: string; readonly write: Write }[];
  #columns = "";
  #classes = "";

  constructor(columns: ReturnType<StatementSync["columns"]>) {
    this.width = columns.length;
    this.#names = columns.map(({ name }) => name);
    this.#declared = columns.map(({ type }) => type?.toLowerCase());
    const last = new Map(this.#names.map((name, index) => [name, index]));
    this.#cells = this.#names
      .flatMap((name, index) => (last.get(name) === index ? [{ name, index }] : []))
      .map(({ name, index }, place) => ({
        index,
        key: `${place === 0 ? "{" : ","}${JSON.stringify(name)}:`,
        write: writerFor(this.#declared[index]),
      }));
  }

  /** `[["id","integer"],…]`. @param first A row, for the columns whose type nobody declared. */
  columns(first: readonly Value[] | undefined): string {
    const classes = this.#declared.map((type, index) => type ?? storageClass(first?.[index])).join("\n");
    if (classes !== this.#classes || this.#columns === "") {
      const types = classes.split("\n");
      this.#classes = classes;
      this.#columns = JSON.stringify(this.#names.map((name, index) => [name, types[index]]));
    }
    return this.#columns;
  }

  row(values: readonly Value[], int64AsString: boolean): string {
    let text = "";
    for (const { index, key, write } of this.#cells) text += key + write(values[index] ?? null, int64AsString);
    return `${text}}`;
  }
}

function writerFor(declared: string | undefined): Write {
  if (declared === "boolean" || declared === "bool") return writeBoolean;
  return declared === "json" || declared === "jsonb" ? writeJson : write;
}

function write(value: Value, int64AsString: boolean): string {
  switch (typeof value) {
    case "bigint":
      return int64AsString && (value > LARGEST || value < -LARGEST) ? `"${value}"` : value.toString();
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    default:
      return value === null
        ? "null"
        : `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")}"`;
  }
}

function writeBoolean(value: Value, int64AsString: boolean): string {
  if (value === 0n) return "false";
  return value === 1n ? "true" : write(value, int64AsString);
}

/** Text that is JSON stands as it is, on one line: outside of its strings a line break is mere space. */
function writeJson(value: Value, int64AsString: boolean): string {
  if (typeof value !== "string") return write(value, int64AsString);
  try {
    JSON.parse(value);
    return value.replaceAll(/[\r\n]/g, " ");
  } catch {
    return JSON.stringify(value);
  }
}

/** In SQLite's words: https://www.sqlite.org/datatype3.html */
function storageClass(value: Value | undefined): string {
  switch (typeof value) {
    case "bigint":
      return "integer";
    case "number":
      return "real";
    case "string":
      return "text";
    default:
      return value === null || value === undefined ? "null" : "blob";
  }
}
