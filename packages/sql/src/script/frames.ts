/**
 * What the parent and a child of the sandbox say to each other. A frame begins with one letter; texts follow as they
 * are, since writing them as JSON once more would cost more than all the rest.
 */

/** A script to run. The child keeps the source under `id` until it is told to drop it. */
export interface RunFrame {
  readonly id: number;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** The id of a script to forget first; 0: none. */
  readonly drop: number;
  /** JSON text. */
  readonly input: string;
  /** Undefined: the child has it. */
  readonly source: string | undefined;
}

/** How a run ended. `message` and the rest are the script's own words: a caller may see them. */
export type Outcome =
  | { readonly kind: "done"; readonly result: string }
  | ({ readonly kind: "failed" } & Failure)
  | { readonly kind: "timeout" }
  | { readonly kind: "stuck" }
  | ({ readonly kind: "memory" } & Partial<Failure>);

export interface Failure {
  readonly message: string;
  readonly name?: string | undefined;
  /** In the caller's source, from 1. */
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  /** Which of the failed statements of this run it comes from, from 0. */
  readonly statement?: number | undefined;
}

/** What a child says. `statement` waits for one answer: JSON text, or what `refusal` makes. */
export type ChildFrame =
  | { readonly kind: "ready" }
  | { readonly kind: "statement"; readonly method: "query" | "execute"; readonly text: string; readonly params: string }
  | { readonly kind: "line"; readonly level: "info" | "warn" | "error"; readonly text: string }
  | { readonly kind: "outcome"; readonly outcome: Outcome; readonly isReady: boolean };

/** The answer to a statement of a script that is to stop. */
export const STOP = "~";
export const READY = "r";
/** Bytes of a statement with its parameters, and of a result. */
export const MAX_TEXT = 16 * 1024 * 1024;

const LEVELS = { i: "info", w: "warn", e: "error" } as const;

export function encodeRun(run: RunFrame): string {
  const size = run.source === undefined ? -1 : run.input.length;
  return `${run.id} ${run.timeoutMs} ${run.memoryMb} ${run.drop} ${size}\n${run.input}${run.source ?? ""}`;
}

export function decodeRun(frame: string): RunFrame {
  const end = frame.indexOf("\n");
  const [id = 0, timeoutMs = 0, memoryMb = 0, drop = 0, size = 0] = frame.slice(0, end).split(" ").map(Number);
  const body = frame.slice(end + 1);
  const hasSource = size >= 0;
  const input = hasSource ? body.slice(0, size) : body;
  return { id, timeoutMs, memoryMb, drop, input, source: hasSource ? body.slice(size) : undefined };
}

/** @param isReady The child takes the next script at once; else it says READY later. */
export function encodeOutcome(outcome: Outcome, isReady: boolean): string {
  const mark = isReady ? "." : ",";
  return outcome.kind === "done" ? `=${mark}${outcome.result}` : `!${mark}${JSON.stringify(outcome)}`;
}

/** @param index Of the failed statement among those of this run. */
export function refusal(index: number, message: string): string {
  return `!${index}:${message}`;
}

/** @throws Error when it is no frame of ours: the child can no longer be trusted. */
export function decodeChild(frame: string): ChildFrame {
  switch (frame[0]) {
    case "q":
    case "x":
      return decodeStatement(frame);
    case "=":
      return { kind: "outcome", isReady: frame[1] === ".", outcome: { kind: "done", result: frame.slice(2) } };
    case "!": {
      const outcome = JSON.parse(frame.slice(2)) as Outcome; // `encodeOutcome` wrote it
      return { kind: "outcome", isReady: frame[1] === ".", outcome };
    }
    case "l": {
      const level = LEVELS[frame[1] as keyof typeof LEVELS] ?? "info"; // an unknown letter gives undefined
      return { kind: "line", level, text: frame.slice(2) };
    }
    case READY:
      return { kind: "ready" };
    default:
      throw new Error("a child of the script sandbox sent what it must not");
  }
}

function decodeStatement(frame: string): ChildFrame {
  const colon = frame.indexOf(":");
  const end = colon + 1 + Number(frame.slice(1, colon));
  const method = frame[0] === "q" ? "query" : "execute";
  return { kind: "statement", method, text: frame.slice(colon + 1, end), params: frame.slice(end) };
}
