/** The types of Postgres by OID: what is known by heart, and what only the server can tell. */

/** How the text of a value becomes JSON. */
export type Kind = "boolean" | "integer" | "int8" | "float" | "json" | "timestamptz" | "timestamp" | "bytea" | "text";

export interface PgType {
  /** As Postgres prints it: `timestamptz`, `int4[]`. */
  readonly name: string;
  readonly kind: Kind;
  /** Of an array: its elements, and what stands between them in its text. */
  readonly element?: PgType;
  readonly delimiter?: string;
}

/** What `pg_type` says of one OID. */
export interface TypeRow {
  readonly oid: number;
  readonly name: string;
  /** 0 for what is no array. */
  readonly element: number;
  /** 0 for what is no domain. */
  readonly base: number;
  readonly delimiter: string;
}

/** OID, name, kind and the OID of its array: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const KNOWN: readonly (readonly [oid: number, name: string, kind: Kind, arrayOid: number])[] = [
  [16, "bool", "boolean", 1000],
  [17, "bytea", "bytea", 1001],
  [18, '"char"', "text", 1002],
  [19, "name", "text", 1003],
  [20, "int8", "int8", 1016],
  [21, "int2", "integer", 1005],
  [23, "int4", "integer", 1007],
  [25, "text", "text", 1009],
  [26, "oid", "integer", 1028],
  [114, "json", "json", 199],
  [700, "float4", "float", 1021],
  [701, "float8", "float", 1022],
  [790, "money", "text", 791],
  [869, "inet", "text", 1041],
  [1042, "bpchar", "text", 1014],
  [1043, "varchar", "text", 1015],
  [1082, "date", "text", 1182],
  [1083, "time", "text", 1183],
  [1114, "timestamp", "timestamp", 1115],
  [1184, "timestamptz", "timestamptz", 1185],
  [1186, "interval", "text", 1187],
  [1266, "timetz", "text", 1270],
  [1700, "numeric", "text", 1231],
  [2278, "void", "text", 0],
  [2950, "uuid", "text", 2951],
  [3802, "jsonb", "json", 3807],
];

export class Types {
  readonly #known = new Map<number, PgType>();

  constructor() {
    for (const [oid, name, kind, arrayOid] of KNOWN) {
      const element: PgType = { name, kind };
      this.#known.set(oid, element);
      if (arrayOid > 0) this.#known.set(arrayOid, { name: `${name}[]`, kind: "text", element, delimiter: "," });
    }
  }

  get(oid: number): PgType | undefined {
    return this.#known.get(oid);
  }

  /** The OIDs among these that are not known yet. */
  unknown(oids: Iterable<number>): number[] {
    return [...new Set(oids)].filter((oid) => !this.#known.has(oid));
  }

  /** @param rows What the server said: also of the elements and bases of those asked for. */
  learn(rows: readonly TypeRow[]): void {
    const byOid = new Map(rows.map((row) => [row.oid, row]));
    for (const { oid } of rows) if (!this.#known.has(oid)) this.#known.set(oid, this.#resolve(oid, byOid));
  }

  #resolve(oid: number, rows: ReadonlyMap<number, TypeRow>): PgType {
    const known = this.#known.get(oid);
    if (known !== undefined) return known;
    const row = rows.get(oid);
    if (row === undefined) return { name: String(oid), kind: "text" };
    if (row.base !== 0) return { ...this.#resolve(row.base, rows), name: row.name };
    if (row.element === 0) return { name: row.name, kind: "text" };
    return { name: row.name, kind: "text", element: this.#resolve(row.element, rows), delimiter: row.delimiter };
  }
}

/**
 * Types with their elements and bases, at any depth. `oidvector` and its like have elements and another text form.
 * $1: an array of OIDs.
 */
export const TYPES_QUERY = `
  with recursive wanted as (
    select oid, typelem, typbasetype from pg_type where oid = any($1::oid[])
    union
    select t.oid, t.typelem, t.typbasetype from pg_type t join wanted w on t.oid in (w.typelem, w.typbasetype)
  )
  select t.oid, format_type(t.oid, null), case when t.typoutput = 'array_out'::regproc then t.typelem else 0 end,
    t.typbasetype, coalesce(e.typdelim, ',')
  from wanted w join pg_type t on t.oid = w.oid left join pg_type e on e.oid = t.typelem`;
