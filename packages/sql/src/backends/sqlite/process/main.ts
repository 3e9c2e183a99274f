/** The process that holds one connection. The sidecar starts it, talks to it through the channel, and may kill it. */

import { performance } from "node:perf_hooks";
import { readFrames, writeFrame } from "../../../channel.ts";
import { Kind, type Request, type Run, writeFailure, writeSuccess } from "../wire.ts";
import { Database, type Outcome, type Settings } from "./database.ts";
import { die, startWatch } from "./watch.ts";

/** Answers wait for company so long, or until they have so many characters. */
const HOLD_MS = 5;
const HOLD_SIZE = 64 * 1024;

const waiting: string[] = [];

function next(): Request {
  while (waiting.length === 0) {
    const frames = readFrames();
    if (frames.length === 0) die();
    waiting.push(...frames);
  }
  return JSON.parse(waiting.shift() ?? "null") as Request; // the sidecar's own writing
}

function answer(text: string): void {
  writeFrame(Kind.answers + text);
}

/** Sends several in few frames, yet none too late and none too large. */
function answerAll(texts: Iterable<string>): void {
  let held = "";
  let since = performance.now();
  const flush = (): void => {
    if (held !== "") answer(held);
    held = "";
    since = performance.now();
  };
  for (const text of texts) {
    if (held.length + text.length > HOLD_SIZE) flush();
    held += text;
    if (performance.now() - since > HOLD_MS) flush();
  }
  flush();
}

function* runReads(runs: readonly Run[]): Generator<string> {
  for (const run of runs) yield database.run(run).text;
}

function runStream(run: Run): void {
  let isWanted = true;
  const { text } = database.run(run, -1, (piece) => {
    answer(piece);
    const request = next();
    isWanted = request[0] === "more";
    return request[0] === "more" ? request[1] : undefined;
  });
  if (isWanted) answer(text);
}

/** Independent statements under one commit. When one of them or the commit breaks the whole, each gets its own. */
function runGroup(runs: readonly Run[]): void {
  let members = runs;
  while (members.length > 0) {
    const outcomes: Outcome[] = [];
    if (!begin(members.map(([id]) => id))) return;
    for (const run of members) {
      outcomes.push(database.run(run));
      if (isBroken(outcomes.at(-1))) break;
    }
    if (isBroken(outcomes.at(-1))) {
      database.rollback();
      return members.length === 1 ? answer(outcomes[0]?.text ?? "") : members.forEach(runAlone);
    }
    const without = mayCommit();
    if (without.length > 0) {
      database.rollback();
      members = members.filter(([id]) => !without.includes(id));
      continue;
    }
    if (database.commit(0) === undefined) return answerAll(outcomes.map(({ text }) => text));
    database.rollback();
    return members.forEach(runAlone);
  }
}

/** A group of one, whose commit may fail by itself. */
function runAlone(run: Run): void {
  const [id] = run;
  if (!begin([id])) return;
  const outcome = database.run(run);
  if (isBroken(outcome)) {
    database.rollback();
    return answer(outcome.text);
  }
  if (mayCommit(id).length > 0) return database.rollback();
  const failure = database.commit(id);
  database.rollback();
  answer(failure ?? outcome.text);
}

function runBatch(runs: readonly Run[]): void {
  const id = runs[0]?.[0] ?? 0;
  if (!begin([id])) return;
  const results: string[] = [];
  for (const [index, run] of runs.entries()) {
    const { text, isFailed } = database.run(run, index);
    if (isFailed) {
      database.rollback();
      return answer(text);
    }
    results.push(resultOf(text));
  }
  if (mayCommit().length > 0) return database.rollback();
  const failure = database.commit(id);
  database.rollback();
  answer(failure ?? success(id, `[${results.join(",")}]`));
}

function runStep(run: Run, isFirst: boolean): void {
  const [id] = run;
  if (isFirst && !begin([id])) return;
  answer(database.run(run).text);
}

function endTransaction(id: number, isCommit: boolean): void {
  const failure = isCommit ? database.commit(id) : undefined;
  database.rollback();
  answer(failure ?? success(id, ""));
}

/** On failure all of `ids` are told. */
function begin(ids: readonly number[]): boolean {
  const failure = database.begin(ids.length === 1 ? (ids[0] ?? 0) : 0);
  if (failure === undefined) return true;
  const [, code, message] = JSON.parse(failure) as [number, number, string]; // as writeFailure has it
  answer(ids.map((id) => writeFailure({ id, code, message, index: -1 })).join(""));
  return false;
}

/** @returns The ids of those that must not be committed; then all is to be rolled back. */
function mayCommit(id?: number): readonly number[] {
  writeFrame(`${Kind.mayCommit}${id ?? ""}`);
  const request = next();
  return request[0] === "verdict" ? request[1] : die();
}

/** SQLite has rolled back by itself (`OR ROLLBACK`, a full disk), or a limit was passed. */
function isBroken(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && (outcome.isCut || !database.isInTransaction);
}

/** `[affected, "lastInsertId"]` out of an answer. */
function resultOf(text: string): string {
  const [, , , affected, lastInsertId] = JSON.parse(text.slice(0, text.indexOf("\n"))) as unknown[];
  return JSON.stringify([affected, lastInsertId]);
}

function success(id: number, rows: string): string {
  return writeSuccess({ id, code: 0, count: 0, affected: 0, lastInsertId: "", hasMore: false, columns: "[]", rows });
}

function handle(request: Request): void {
  switch (request[0]) {
    case "more": // the stream has ended meanwhile
    case "stop":
    case "verdict":
      return;
    case "end":
      return endTransaction(request[1], request[2]);
    case "quit":
      database.close();
      return die();
  }
  const [, definitions, runs] = request;
  for (const definition of definitions) database.define(definition);
  const [first] = runs;
  if (first === undefined) return;
  switch (request[0]) {
    case "read":
      return answerAll(runReads(runs));
    case "group":
      return runGroup(runs);
    case "batch":
      return runBatch(runs);
    case "alone":
      return answer(database.run(first).text);
    case "stream":
      return runStream(first);
    case "step":
      return runStep(first, request[3]);
  }
}

function openDatabase(running: Int32Array): Database {
  try {
    return new Database(JSON.parse(process.argv[2] ?? "") as Settings, running); // the sidecar's own writing
  } catch (error) {
    const { errcode, message } = error as { errcode?: number; message: string }; // node:sqlite throws Errors, with errcode
    writeFrame(Kind.broken + JSON.stringify([errcode ?? -1, message]));
    return die();
  }
}

const watch = startWatch();
const database = openDatabase(watch.running);
watch.wait();
writeFrame(Kind.hello);
for (;;) handle(next());
