/** What runs a script; the rest of the package knows nothing else of it. */

/** `info` for console.log and the like, `warn` and `error` for their namesakes. */
export type ScriptLine = { readonly level: "info" | "warn" | "error"; readonly text: string };

export interface ScriptJob {
  readonly source: string;
  /** JSON text. */
  readonly input: string;
  /** Realms are used again for the same text and the same caller only. */
  readonly caller: string;
  /** Wall clock from the script's start, above 0: waiting in `sql` counts, waiting for its turn does not. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /**
   * Runs one statement of the script. A rejection is thrown in the script as an Error with this message.
   * @param params Parsed as `parseJson` does: integers beyond 2^53 are bigints.
   * @returns JSON text: an array of row objects, or a number for `execute`.
   */
  sql(method: "query" | "execute", text: string, params: unknown): Promise<string>;
  /** A line of the script's console. */
  log(line: ScriptLine): void;
  /** Aborted: the script is stopped, and `run` rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/**
 * What the script gave: JSON text, `null` for undefined; the thrown errors are SCRIPT_ERROR (with `details.line` in the
 * caller's source), SCRIPT_TIMEOUT (at once for a promise that nothing can settle) and SCRIPT_MEMORY (also for endless
 * recursion). An error of `sql` that the script lets out keeps its code, gets the line, and stays as the `cause`.
 */
export interface ScriptEngine {
  /** @throws UNAVAILABLE with Retry-After when too many scripts wait. */
  run(job: ScriptJob): Promise<string>;
  close(): Promise<void>;
}
