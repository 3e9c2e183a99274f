/** Logs: one JSON object a line, or readable lines on a terminal. Never a body, a secret value or a token. */

import { type DestinationStream, type LoggerOptions, pino } from "pino";

export const LOG_LEVELS = ["error", "warn", "info", "debug", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One for all logs of the process. */
let standardOutput: DestinationStream | undefined;
const GATHERED_MS = 20;
const GATHERED_CHARACTERS = 16_384;

type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** What the core writes to; a pino logger is one. */
export interface Log {
  error: Write;
  warn: Write;
  info: Write;
  debug: Write;
  isLevelEnabled(level: string): boolean;
}

/**
 * `info` tells of start, stop and failed calls; `debug` adds a line for every call.
 * @param destination Standard output when absent.
 */
export async function createLog(level: LogLevel = "info", destination?: DestinationStream): Promise<Log> {
  const options: LoggerOptions = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const lines: LoggerOptions = { ...options, formatters: { level: named } };
  if (destination !== undefined) return pino(lines, destination);
  if (!process.stdout.isTTY)
    return pino(lines, (standardOutput ??= gathered(pino.destination({ dest: 1, sync: true }))));
  const { default: pretty } = await import("pino-pretty");
  return pino(options, pretty({ colorize: true, translateTime: "HH:MM:ss.l", sync: true }));
}

/**
 * Writes lines together, some milliseconds late at most: a busy server would pay a system call for each, and wake whoever
 * reads them. What is left is written when the process ends, unless it is killed.
 */
function gathered(destination: DestinationStream): DestinationStream {
  let waiting = "";
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const text = waiting;
    waiting = "";
    if (text !== "") destination.write(text);
  };
  process.on("exit", flush);
  return {
    write: (line) => {
      waiting += line;
      if (waiting.length >= GATHERED_CHARACTERS) flush();
      else timer ??= setTimeout(flush, GATHERED_MS).unref();
    },
  };
}

function named(label: string): { level: string } {
  return { level: label };
}
