/** Logs: one JSON object a line, or readable lines on a terminal. Never a body, a secret value or a token. */

import { type DestinationStream, type LoggerOptions, pino } from "pino";

export const LOG_LEVELS = ["error", "warn", "info", "debug", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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
  if (!process.stdout.isTTY) return pino(lines, gathered(pino.destination({ dest: 1, sync: true })));
  const { default: pretty } = await import("pino-pretty");
  return pino(options, pretty({ colorize: true, translateTime: "HH:MM:ss.l", sync: true }));
}

/** Writes the lines of one turn of the event loop at once: a busy server would pay a system call for each. */
function gathered(destination: DestinationStream): DestinationStream {
  let waiting = "";
  const flush = (): void => {
    const text = waiting;
    waiting = "";
    if (text !== "") destination.write(text);
  };
  process.on("exit", flush);
  return {
    write: (line) => {
      if (waiting === "") setImmediate(flush);
      waiting += line;
    },
  };
}

function named(label: string): { level: string } {
  return { level: label };
}
