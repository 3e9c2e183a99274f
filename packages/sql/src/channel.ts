/**
 * Text frames between this process and a child that works synchronously: length (4 bytes, little endian), then UTF-8.
 * A socket pair with blocking reads in the child costs less per round trip than Node's own IPC, and needs no event loop.
 */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** The child's end of the channel. */
const CHANNEL_FD = 3;
/** The child's end of a second channel, of 4-byte numbers, for a thread that nothing in the child holds up. */
const WATCH_FD = 4;
const HEADER_BYTES = 4;
const READ_BYTES = 256 * 1024;

/** @param name Of a module beside the caller's, without extension: compiled or not, it is the same kind of file. */
export function siblingModule(name: string, moduleUrl: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith(".ts") ? ".ts" : ".js"}`, moduleUrl);
}

export interface ChildOptions {
  readonly args?: readonly string[];
  /** Options of Node itself. */
  readonly execArgv?: readonly string[];
  /** Present: the child has a second channel at descriptor 4, which ends with this process; called with what it answers to `watch`. */
  readonly onWatch?: (answer: number) => void;
}

/** The parent's side. */
export class Child {
  readonly process: ChildProcess;
  /** Resolves when the process is gone and all it has written was handed on. Never rejects. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #watch: Socket | undefined;
  readonly #frames = new FrameReader();

  /** @param onFrame Called for each frame in order. The child has no environment: nothing secret reaches it. */
  constructor(module: URL, onFrame: (frame: string) => void, { args = [], execArgv = [], onWatch }: ChildOptions = {}) {
    const { spawn } = process.getBuiltinModule("node:child_process"); // loaded with the first child
    this.process = spawn(process.execPath, [...execArgv, fileURLToPath(module), ...args], {
      env: {},
      stdio: ["ignore", "ignore", "inherit", "pipe", ...(onWatch === undefined ? [] : (["pipe"] as const))],
    });
    this.#watch = this.process.stdio[WATCH_FD] as Socket | undefined; // as the channel below
    this.#watch?.on("data", (chunk: Buffer) => onWatch?.(chunk.readInt32LE())); // 4 bytes are never torn, and one answer is out at a time
    this.#watch?.on("error", () => undefined);
    this.#socket = this.process.stdio[CHANNEL_FD] as Socket; // a "pipe" beyond standard error is a duplex socket
    this.#socket.on("data", (chunk: Buffer) => this.#frames.push(chunk, onFrame));
    this.#socket.on("error", () => undefined); // the end of the process tells it all
    this.ended = this.#end();
  }

  send(frame: string): void {
    this.#socket.write(encodeFrame(frame));
  }

  /** Sends a number of 32 bits over the second channel. */
  watch(message: number): void {
    const bytes = Buffer.allocUnsafe(HEADER_BYTES);
    bytes.writeInt32LE(message);
    this.#watch?.write(bytes);
  }

  /** Writes what is sent until `uncork` at once. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Keeps this process alive, or not, while the child lives. */
  ref(isNeeded: boolean): void {
    if (isNeeded) {
      this.process.ref();
      this.#socket.ref();
      this.#watch?.ref();
    } else {
      this.process.unref();
      this.#socket.unref();
      this.#watch?.unref();
    }
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }

  async #end(): Promise<void> {
    const closed = once(this.process, "close").catch(() => undefined); // an "error": it could not be started
    await closed;
  }
}

/** The child's side: waits for the next frames. An empty list: the parent is gone. */
export function readFrames(): string[] {
  const frames: string[] = [];
  while (frames.length === 0) {
    const size = readSync(CHANNEL_FD, received, 0, READ_BYTES, null);
    if (size === 0) return [];
    incoming.push(received.subarray(0, size), (frame) => frames.push(frame));
  }
  return frames;
}

/** The child's side: returns when the text is with the kernel. */
export function writeFrame(frame: string): void {
  const bytes = encodeFrame(frame);
  let written = 0;
  while (written < bytes.length) written += writeSync(CHANNEL_FD, bytes, written);
}

const received = Buffer.allocUnsafe(READ_BYTES);

function encodeFrame(frame: string): Buffer {
  const size = Buffer.byteLength(frame);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + size);
  bytes.writeUInt32LE(size);
  bytes.write(frame, HEADER_BYTES, "utf8");
  return bytes;
}

class FrameReader {
  #parts: Buffer[] = [];
  #size = 0;

  /** @param chunk Copied where it is needed longer than this call. */
  push(chunk: Buffer, onFrame: (frame: string) => void): void {
    let rest = chunk;
    if (this.#size > 0) {
      this.#parts.push(Buffer.from(chunk));
      this.#size += chunk.length;
      const head = this.#parts[0] as Buffer; // #size above 0: there is one
      if (head.length >= HEADER_BYTES && this.#size < HEADER_BYTES + head.readUInt32LE()) return;
      rest = Buffer.concat(this.#parts, this.#size);
      this.#parts = [];
      this.#size = 0;
    }
    let at = 0;
    while (rest.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + rest.readUInt32LE(at);
      if (end > rest.length) break;
      onFrame(rest.toString("utf8", at + HEADER_BYTES, end));
      at = end;
    }
    if (at === rest.length) return;
    this.#parts.push(Buffer.from(rest.subarray(at)));
    this.#size = rest.length - at;
  }
}

const incoming = new FrameReader();
