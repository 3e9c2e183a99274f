/** The three forms of a script, told apart by a parser, as the text of one strict function that starts anew on each call. */

import { createRequire } from "node:module";
import type * as Acorn from "acorn";
import type { ExportDefaultDeclaration, Expression, Node, Options, Program } from "acorn";

/** Of the caller's text in stack traces. */
export const SCRIPT_FILE = "script";

/** A text that is no script; the place is in the caller's source, from 1. */
export class ScriptSyntaxError extends Error {
  readonly line: number | undefined;
  readonly column: number | undefined;

  constructor(message: string, line?: number, column?: number) {
    super(message);
    this.name = "SyntaxError";
    this.line = line;
    this.column = column;
  }
}

let acorn: typeof Acorn | undefined;

/** Both what V8 will see and what the caller meant: strict code, in which `return` and `await` may stand at the top. */
const OPTIONS: Options = {
  ecmaVersion: "latest",
  allowReturnOutsideFunction: true,
  allowAwaitOutsideFunction: true,
  sourceType: "module",
  locations: true,
  preserveParens: true,
};
const NO_LINE_END = /[^\r\n\u2028\u2029]/g;

interface Findings {
  /** `await` outside of functions. */
  readonly hasAwait: boolean;
}

/**
 * A function expression `(input, call) => result`. Its first line is the wrapper's: compile it with a line offset of -1
 * and lines and columns are the caller's.
 * @throws ScriptSyntaxError
 */
export function wrap(source: string): string {
  try {
    return wrapExpression(source) ?? wrapProgram(source);
  } catch (error) {
    throw placed(error);
  }
}

function parser(): typeof Acorn {
  // Only a text that was never seen needs it. A child works synchronously, so it cannot wait for an import.
  acorn ??= createRequire(import.meta.url)("acorn") as typeof Acorn;
  return acorn;
}

function wrapExpression(source: string): string | undefined {
  let expression: Expression;
  try {
    expression = parser().parseExpressionAt(source, 0, OPTIONS);
    if (!isEmpty(source.slice(expression.end))) return undefined;
  } catch {
    return undefined; // not an expression: the parse as a program tells what is wrong, if anything is
  }
  return assemble({ ...inspect(expression), lead: "return (", body: source.slice(0, expression.end), tail: ")" });
}

/** Nothing but space, comments and at most one semicolon. */
function isEmpty(rest: string): boolean {
  const { tokenizer, tokTypes } = parser();
  const tokens = tokenizer(rest, OPTIONS);
  let token = tokens.getToken();
  if (token.type === tokTypes.semi) token = tokens.getToken();
  return token.type === tokTypes.eof;
}

function wrapProgram(source: string): string {
  const program = parser().parse(source, OPTIONS);
  const found = inspect(program);
  const isModule = program.body.some(({ type }) => type.startsWith("Import") || type.startsWith("Export"));
  return isModule ? wrapModule(source, program, found) : assemble({ ...found, body: source });
}

function wrapModule(source: string, program: Program, found: Findings): string {
  const exported = defaultExport(program);
  const { declaration } = exported;
  const isDeclaration = declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration";
  const own = isDeclaration ? declaration.id?.name : undefined;
  const name = own ?? freeName(source, "$default");
  const call = freeName(source, "$call");
  // As long as what it replaces, lines included, so that columns stay the caller's.
  const head = own === undefined ? `var ${name} =` : "";
  const gap = source.slice(exported.start, declaration.start).replace(NO_LINE_END, " ");
  const lead = head + (/[^ ]/.test(gap) ? gap : gap.slice(head.length));
  const rest = `${source.slice(declaration.start, exported.end)};${source.slice(exported.end)}`;
  return assemble({
    ...found,
    body: source.slice(0, exported.start) + lead + rest,
    tail: `return ${call}(${name})`,
    call,
  });
}

function defaultExport(program: Program): ExportDefaultDeclaration {
  for (const node of program.body) {
    if (node.type === "ImportDeclaration")
      throw refuse(node, "import is not possible in a script: it has `sql`, `input`, `console` and plain JavaScript");
    if (node.type === "ExportNamedDeclaration" || node.type === "ExportAllDeclaration")
      throw refuse(node, "a script exports one thing, `export default …`: remove this export");
  }
  const exported = program.body.find((node) => node.type === "ExportDefaultDeclaration");
  if (exported === undefined) throw new ScriptSyntaxError("a script of this form needs an `export default`");
  return exported;
}

interface Parts extends Findings {
  readonly body: string;
  readonly lead?: string;
  readonly tail?: string;
  readonly call?: string;
}

/**
 * The body must parse alone, as V8 will read it: else `} … {` would leave the function, and what stands outside would
 * outlive the run. A module's text was read by other rules (`<!--` is no comment there), hence this second look.
 */
function assemble({ hasAwait, lead = "", body, tail = "", call = "$call" }: Parts): string {
  parser().parse(`"use strict";${lead}${body}\n${tail}`, { ...OPTIONS, sourceType: "script" });
  const inner = hasAwait ? "async function" : "function";
  // Two functions, so that a script may have an `input` of its own.
  return `(function(input,${call}){"use strict";return (${inner}(){${lead}\n${body}\n${tail}\n})()})`;
}

/** A name that the source does not contain, as short as "$default" as long as it can be. */
function freeName(source: string, wanted: string): string {
  let name = wanted;
  while (source.includes(name)) name += "$";
  return name;
}

/** Walks all of it: `await` outside of functions, and what a script may not use. */
function inspect(root: Node): Findings {
  let hasAwait = false;
  const todo: [node: Node, isTop: boolean][] = [[root, true]];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [node, isTop] = next;
    if (node.type === "ImportExpression") throw refuse(node, "import() is not possible in a script");
    if (node.type === "MetaProperty" && "meta" in node && (node.meta as { name: string }).name === "import")
      throw refuse(node, "import.meta is not possible in a script");
    if (isTop && isAwait(node)) hasAwait = true;
    for (const child of children(node)) todo.push([child, isTop && !node.type.includes("Function")]);
  }
  return { hasAwait };
}

function isAwait(node: Node): boolean {
  if (node.type === "VariableDeclaration") return "kind" in node && node.kind === "await using";
  return node.type === "AwaitExpression" || (node.type === "ForOfStatement" && "await" in node && node.await === true);
}

function* children(node: Node): Generator<Node> {
  for (const value of Object.values(node) as unknown[]) {
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(item)) yield item;
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function refuse(node: Node, message: string): ScriptSyntaxError {
  const { loc } = node;
  return loc ? new ScriptSyntaxError(message, loc.start.line, loc.start.column + 1) : new ScriptSyntaxError(message);
}

function placed(error: unknown): ScriptSyntaxError {
  if (error instanceof ScriptSyntaxError) return error;
  if (error instanceof RangeError) return new ScriptSyntaxError("the script is nested too deeply");
  const { message, loc } = error as Error & { loc?: { line: number; column: number } }; // acorn's; anything else has no `loc`
  const text = message.replace(/ \(\d+:\d+\)$/, "");
  return loc === undefined ? new ScriptSyntaxError(text) : new ScriptSyntaxError(text, loc.line, loc.column + 1);
}
