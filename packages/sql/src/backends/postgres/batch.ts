/** Statements in one transaction. */

import { MikcarError } from "@mikcar/core";
import type { Affected, BatchOptions } from "../../backend.ts";
import type { Statement } from "../../statement.ts";
import { keepNoRows, RunError } from "./exchange.ts";
import { hasArray } from "./params.ts";
import { affectedOf, beginning, type Outcome, type Session, word } from "./session.ts";

/** @throws RunError, with `details.statement` in its error when one of the statements has failed. */
export async function runBatch(
  session: Session,
  statements: readonly Statement[],
  { isolation, readOnly }: Pick<BatchOptions, "isolation" | "readOnly">,
): Promise<readonly Affected[]> {
  const begin = beginning(isolation, readOnly);
  // What an array is to a statement can only be asked once those before it are done: one may have made its table.
  const isStepwise = statements.some(({ params }) => hasArray(params));
  return isStepwise ? stepwise() : atOnce();

  async function atOnce(): Promise<readonly Affected[]> {
    try {
      const outcomes = await session.run([...begin, ...statements, word("COMMIT")], keepNoRows);
      return outcomes.slice(begin.length, -1).map(result);
    } catch (error) {
      throw located(error, error instanceof RunError ? error.step - begin.length : -1, statements.length);
    }
  }

  async function stepwise(): Promise<readonly Affected[]> {
    const results: Affected[] = [];
    await session.run(begin);
    for (const [index, statement] of statements.entries()) {
      try {
        const [outcome] = await session.run([statement], keepNoRows);
        results.push(result(outcome as Outcome, index)); // one for the one request
      } catch (error) {
        throw located(error, index, statements.length);
      }
    }
    await session.run([word("COMMIT")]);
    return results;
  }

  function result(outcome: Outcome, index: number): Affected {
    try {
      return affectedOf(outcome);
    } catch (error) {
      throw located(error, index, statements.length);
    }
  }
}

/** The error with the index of its statement; BEGIN and COMMIT have none. */
function located(error: unknown, index: number, count: number): unknown {
  if (error instanceof RunError)
    return new RunError(error.step, located(error.error, index, count) as Error, error.isStale);
  if (!(error instanceof MikcarError) || index < 0 || index >= count) return error;
  const details = { ...(error.details as object | undefined), statement: index };
  return new MikcarError(error.code, error.message, { details, cause: error.cause });
}
