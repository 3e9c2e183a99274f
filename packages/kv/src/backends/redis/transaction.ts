/** A transaction in the words of the script, and its reply. */

import { preconditionFailed, type Preconditions } from "@mikcar/core";
import type { Operation, Result, Transaction } from "../../backend.ts";
import { noInteger, outOfRange } from "../../value.ts";
import { foreignType, type Words } from "@mikcar/redis";

/** Each key once, in the order in which the script counts them. */
export function keysOf({ conditions, operations }: Transaction): string[] {
  const [only] = operations;
  if (only !== undefined && operations.length === 1 && conditions.length === 0) return [only.key];
  return [...new Set([...conditions, ...operations].map(({ key }) => key))];
}

/** KEYS and ARGV of the script, with the number of keys before them. */
export function scriptWords(keys: readonly string[], { conditions, operations }: Transaction): Words {
  const numbers = keys.length === 1 ? undefined : new Map(keys.map((key, index) => [key, String(index + 1)]));
  const numberOf = (key: string): string => numbers?.get(key) ?? "1";
  const words: (string | Buffer)[] = [String(keys.length), ...keys, String(conditions.length)];
  for (const { key, ifMatch, ifNoneMatch } of conditions) {
    words.push(numberOf(key), ...tagWords(ifMatch), ...tagWords(ifNoneMatch));
  }
  for (const operation of operations) pushOperation(words, operation, numberOf(operation.key));
  return words;
}

function tagWords(tags: Preconditions["ifMatch"]): readonly string[] {
  if (tags === undefined) return ["-"];
  return tags === "*" ? ["*"] : [String(tags.length), ...tags];
}

function pushOperation(words: (string | Buffer)[], operation: Operation, number: string): void {
  switch (operation.type) {
    case "set":
      words.push("s", number, operation.value, milliseconds(operation.ttlSeconds));
      break;
    case "delete":
      words.push("d", number);
      break;
    case "increment":
      words.push("i", number, String(operation.by), milliseconds(operation.ttlSeconds));
      break;
    case "expire":
      if (operation.ttlSeconds !== undefined && operation.ttlSeconds <= 0) words.push("d", number);
      else words.push("e", number, milliseconds(operation.ttlSeconds));
  }
}

function milliseconds(ttlSeconds: number | undefined): string {
  return ttlSeconds === undefined ? "" : String(Math.ceil(ttlSeconds * 1000));
}

/** @throws as `KvBackend.transact`. */
export function readResults(reply: unknown, keys: readonly string[], transaction: Transaction): readonly Result[] {
  const results = reply as readonly (number | Buffer)[]; // what the script replies
  if (results[0] === -1) throw failure(results, keys, transaction);
  return results.map((result) => (typeof result === "number" ? result === 1 : BigInt(result.toString())));
}

function failure(reply: readonly (number | Buffer)[], keys: readonly string[], transaction: Transaction): Error {
  const [, kind, number, old] = reply;
  const index = Number(number) - 1;
  if (String(kind) === "type") return foreignType(keys[index]);
  if (String(kind) === "condition") {
    const { key } = transaction.conditions[index] ?? { key: "" }; // it counts ours
    return preconditionFailed(`the condition on "${key}" does not hold; nothing was changed`, {
      details: { condition: index, key },
    });
  }
  const operation = transaction.operations[index];
  if (operation?.type !== "increment" || String(kind) === "number") return noInteger(operation?.key ?? "");
  return outOfRange(operation.key, String(old), operation.by);
}
