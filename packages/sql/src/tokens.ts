/** The words of a SQL text: comments, strings and quoted names are told apart, so that nothing inside them is read as SQL. */

export type Dialect = "postgres" | "sqlite";

export interface Token {
  /** `name`: quoted, so never a keyword; `symbol`: one character; `literal`: a string or a number. */
  readonly type: "word" | "name" | "symbol" | "literal";
  /** A word as it stands, a name without its quotes, the character of a symbol; empty for a literal. */
  readonly text: string;
  /** Open parentheses before it. */
  readonly depth: number;
}

const SPACE = /\s+/y;
/** To Postgres a carriage return ends a line as well. */
const LINE_COMMENT: Readonly<Record<Dialect, RegExp>> = { postgres: /--[^\n\r]*/y, sqlite: /--[^\n]*/y };
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;
const NUMBER = /\d[\w.]*/y;
const PARAMETER = /[$?:@]\w*/y;
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
const ESCAPE_PREFIX = /^e$/i;
/** What closes what: a double quote, MySQL's backtick and the brackets of SQL Server, which SQLite takes as well. */
const NAME_END: Readonly<Record<string, string>> = { '"': '"', "`": "`", "[": "]" };

/** @param limit Reads no further once it has so many tokens. */
export function tokens(sql: string, dialect: Dialect, limit = Infinity): readonly Token[] {
  const found: Token[] = [];
  let at = 0;
  let depth = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0];
  };

  while (at < sql.length && found.length < limit) {
    const char = sql[at] as string; // at is below the length
    const skipped = match(SPACE) ?? match(LINE_COMMENT[dialect]);
    if (skipped !== undefined) {
      at += skipped.length;
    } else if (char === "/" && sql[at + 1] === "*") {
      at = commentEnd(sql, at, dialect);
    } else if (char === "'") {
      at = quoteEnd(sql, at, "'", false);
      found.push({ type: "literal", text: "", depth });
    } else if (char === '"' || (dialect === "sqlite" && (char === "`" || char === "["))) {
      const end = NAME_END[char] as string; // one of its keys
      const next = char === "[" ? closing(sql, at + 1, end) : quoteEnd(sql, at, end, false);
      found.push({ type: "name", text: sql.slice(at + 1, next - 1).replaceAll(end + end, end), depth });
      at = next;
    } else if (char === "$" && dialect === "postgres" && match(DOLLAR_QUOTE) !== undefined) {
      const tag = match(DOLLAR_QUOTE) as string; // just matched
      at = closing(sql, at + tag.length, tag);
      found.push({ type: "literal", text: "", depth });
    } else {
      const word = match(WORD);
      if (word !== undefined && sql[at + word.length] === "'" && dialect === "postgres" && ESCAPE_PREFIX.test(word)) {
        at = quoteEnd(sql, at + word.length, "'", true);
        found.push({ type: "literal", text: "", depth });
      } else if (word !== undefined) {
        at += word.length;
        found.push({ type: "word", text: word, depth });
      } else {
        const literal = match(NUMBER) ?? match(PARAMETER);
        if (char === ")") depth -= 1;
        found.push({ type: literal === undefined ? "symbol" : "literal", text: literal ?? char, depth });
        if (char === "(") depth += 1;
        at += literal?.length ?? char.length;
      }
    }
  }
  return found;
}

/** Postgres nests comments, SQLite does not. An open one ends with the text. */
function commentEnd(sql: string, start: number, dialect: Dialect): number {
  if (dialect === "sqlite") return closing(sql, start + 2, "*/");
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let found = edge.exec(sql); found !== null; found = edge.exec(sql)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}

/** Behind the quote that closes the one at `start`; a doubled quote does not, nor one behind a backslash that escapes. */
function quoteEnd(sql: string, start: number, quote: string, hasEscapes: boolean): number {
  for (let at = start + 1; at < sql.length; at++) {
    if (hasEscapes && sql[at] === "\\") at += 1;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return sql.length + 1;
}

function closing(sql: string, from: number, end: string): number {
  const at = sql.indexOf(end, from);
  return at === -1 ? sql.length + 1 : at + end.length;
}
