/** A child of the sandbox: runs one script at a time, synchronously, and has nothing to hand out but answers to `sql`. */

import { closeSync, openSync } from "node:fs";
import { readFrames, writeFrame } from "../channel.ts";
import {
  decodeRun,
  encodeOutcome,
  type Failure,
  MAX_TEXT,
  type Outcome,
  READY,
  refusal,
  type RunFrame,
  STOP,
} from "./frames.ts";
import { Realm } from "./realm.ts";
import { ScriptSyntaxError, wrap } from "./source.ts";

/** A script that this child knows. Its realm is made when it runs, and again when the one it had is spoiled. */
interface Known {
  readonly code: string | Failure;
  realm: Realm | undefined;
}

const known = new Map<number, Known>();
let isStopped = false;
let spare: Realm | undefined;

function ask(frame: string): string {
  if (isStopped) return refusal(-1, "the script is stopped");
  if (frame.length > 2 * MAX_TEXT) return refusal(-1, "the statement is too large");
  say(frame);
  const answer = nextFrames()[0] ?? STOP;
  if (answer !== STOP) return answer;
  isStopped = true;
  return refusal(-1, "the script is stopped");
}

function log(line: string): void {
  if (!isStopped) say(`l${line}`);
}

function say(frame: string): void {
  try {
    writeFrame(frame);
  } catch {
    leave(); // EPIPE: the parent is gone
  }
}

function nextFrames(): string[] {
  const frames = readFrames();
  if (frames.length === 0) leave();
  return frames;
}

/** At once: an isolate that is still busy would hold up an orderly exit. */
function leave(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

function learn(source: string): Known {
  try {
    return { code: wrap(source), realm: undefined };
  } catch (error) {
    if (!(error instanceof ScriptSyntaxError)) throw error;
    const { message, name, line, column } = error;
    return { code: { message, name, line, column }, realm: undefined };
  }
}

function freshRealm(memoryMb: number): Realm {
  const realm = spare;
  spare = undefined;
  if (realm?.memoryMb === memoryMb) return realm;
  realm?.dispose();
  return new Realm(memoryMb, { ask, log });
}

function discard(script: Known): void {
  script.realm?.dispose();
  script.realm = undefined;
}

function run({ id, input, timeoutMs, memoryMb }: RunFrame, startedAt: number): Outcome {
  const script = known.get(id);
  if (script === undefined) return { kind: "failed", message: "the sandbox does not know this script" };
  const { code } = script;
  if (typeof code !== "string") return { kind: "failed", ...code };
  let outcome: Outcome | undefined;
  while (outcome === undefined) {
    if (script.realm === undefined) {
      script.realm = freshRealm(memoryMb);
      outcome = script.realm.load(code);
    }
    outcome ??= script.realm.run(input, timeoutMs - (performance.now() - startedAt));
    if (outcome === undefined) discard(script); // it was not clean; a fresh one is
  }
  const isClean = (outcome.kind === "done" || outcome.kind === "failed") && !isStopped;
  if (!isClean) discard(script);
  return outcome;
}

function handle(frame: string): void {
  const startedAt = performance.now();
  const job = decodeRun(frame);
  isStopped = false;
  const dropped = known.get(job.drop);
  known.delete(job.drop);
  if (job.source !== undefined) known.set(job.id, learn(job.source));
  const isReady = job.source === undefined;
  say(encodeOutcome(run(job, startedAt), isReady));
  if (dropped !== undefined) discard(dropped);
  if (isReady) return;
  spare ??= new Realm(job.memoryMb, { ask, log });
  say(READY);
}

spare = new Realm(Number(process.argv[2]), { ask, log });
say(READY);
// A script can make V8 abort, with a page of native frames on standard error that are of no use to anybody.
if (process.platform !== "win32") {
  closeSync(2);
  openSync("/dev/null", "r"); // takes the number that has become free
}
for (;;) for (const frame of nextFrames()) handle(frame);
