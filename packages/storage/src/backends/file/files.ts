/** Object files: opened for reading, sent in pieces, and received under a temporary name. */

import { closeSync, constants, copyFile, fstatSync, openSync, type Stats } from "node:fs";
import { promisify } from "node:util";
import { unavailable } from "@mikcar/core";
import type { ObjectBody, Slice } from "../../backend.ts";
import { BUFFER_BYTES, giveBack, takeBuffer } from "./buffers.ts";
import { fsync, isReallyAt, link, NEW_FILE, nameOf, openFd, READ_FILE, readInto, unlink, writeAll } from "./disk.ts";
import { systemCode } from "./errors.ts";
import { ASIDE } from "./names.ts";

/** What tells one version of a file from another. */
export type Identity = Pick<Stats, "ino" | "mtimeMs" | "size">;

export interface OpenFile {
  readonly fd: number;
  readonly path: string;
  readonly identity: Identity;
}

const WHOLE_BYTES = 64 * 1024;
const NOT_THERE = ["ENOENT", "ENOTDIR", "ELOOP", "EMLINK", "ENXIO"]; // also: a link or a socket is in the way
const copy = promisify(copyFile);

/** @param path Absolute. @returns undefined when no plain file is there, or a symbolic link leads to it. */
export function openFile(path: string): OpenFile | undefined {
  return tryOpen(path) ?? tryOpen(path + ASIDE);
}

/** The bytes; closes the file at their end. */
export async function readBody(file: OpenFile, { start, end }: Slice): Promise<ObjectBody> {
  const size = end - start;
  if (size > WHOLE_BYTES) return new FileBody(file.fd, start, end);
  try {
    const buffer = Buffer.allocUnsafe(size);
    if (size > 0 && (await readInto(file.fd, buffer, start)) < size) throw truncated();
    return buffer;
  } finally {
    closeSync(file.fd);
  }
}

function tryOpen(path: string): OpenFile | undefined {
  try {
    const fd = openSync(path, READ_FILE); // names are in memory as a rule, and a thread costs five times the call
    const stats = fstatSync(fd);
    if (stats.isFile() && isReallyAt(fd, path)) return { fd, path, identity: stats };
    closeSync(fd);
    return undefined;
  } catch (error) {
    if (NOT_THERE.includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** Full pieces come in one buffer that is used again: a reader is done with one before it asks for the next. */
class FileBody implements AsyncIterableIterator<Buffer> {
  readonly #fd: number;
  readonly #end: number;
  #position: number;
  #buffer: Buffer | undefined;
  #isReading = false;
  #isClosed = false;

  constructor(fd: number, start: number, end: number) {
    this.#fd = fd;
    this.#position = start;
    this.#end = end;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    const size = Math.min(BUFFER_BYTES, this.#end - this.#position);
    if (this.#isClosed) return this.return();
    if (size === 0) return this.#finish();
    this.#isReading = true;
    try {
      const buffer = size < BUFFER_BYTES ? Buffer.allocUnsafe(size) : (this.#buffer ??= takeBuffer());
      if ((await readInto(this.#fd, buffer, this.#position)) < size) throw truncated();
      this.#position += size;
      return { done: false, value: buffer };
    } catch (error) {
      this.#isClosed = true;
      throw error;
    } finally {
      this.#isReading = false;
      if (this.#isClosed) closeSync(this.#fd);
    }
  }

  /**
   * A read under way keeps the file open until it ends: its number could be another file's by then. The buffer is not
   * used again, as the piece in it may still be on its way.
   */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    if (!this.#isClosed && !this.#isReading) closeSync(this.#fd);
    this.#isClosed = true;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#buffer !== undefined) giveBack(this.#buffer);
    return this.return();
  }
}

/** A file under its temporary name: to be moved into its place, else to be thrown away. */
export class Upload {
  readonly path: string;
  readonly identity: Identity;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.identity = fstatSync(fd);
  }

  /** Writes `body` to a new file. When it throws, the file is gone. */
  static async receive(path: string, body: AsyncIterable<Buffer>): Promise<Upload> {
    const fd = await openFd(path, NEW_FILE);
    const buffer = takeBuffer();
    try {
      let filled = 0;
      for await (const chunk of body) {
        for (let from = 0; from < chunk.length;) {
          const copied = chunk.copy(buffer, filled, from);
          from += copied;
          filled += copied;
          if (filled < BUFFER_BYTES) continue;
          await writeAll(fd, buffer);
          filled = 0;
        }
      }
      if (filled > 0) await writeAll(fd, buffer.subarray(0, filled));
      return new Upload(path, fd);
    } catch (error) {
      closeSync(fd);
      await unlink(path);
      throw error;
    } finally {
      giveBack(buffer);
    }
  }

  /** A copy that shares its blocks with `file` where the file system can. */
  static async copyOf(file: OpenFile, path: string): Promise<Upload> {
    try {
      await copy(nameOf(file.fd, file.path), path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      return new Upload(path, await openFd(path, READ_FILE));
    } catch (error) {
      await unlink(path).catch(() => undefined); // the failure of the copy is the one to tell
      throw error;
    }
  }

  /** A second name for `file`; a copy where the file system has no hard links, or another file has its name by now. */
  static async linkTo(file: OpenFile, path: string): Promise<Upload> {
    try {
      await link(file.path, path);
    } catch {
      return Upload.copyOf(file, path);
    }
    const upload = new Upload(path, await openFd(path, READ_FILE));
    if (upload.identity.ino === file.identity.ino) return upload;
    await upload.discard();
    return Upload.copyOf(file, path);
  }

  /** Resolves when the bytes are on disk. */
  sync(): Promise<void> {
    return fsync(this.#fd);
  }

  /** Once it is in its place. */
  close(): void {
    closeSync(this.#fd);
  }

  async discard(): Promise<void> {
    closeSync(this.#fd);
    await unlink(this.path).catch((error: unknown) => {
      if (systemCode(error) !== "ENOENT") throw error; // it had been moved before something else failed
    });
  }
}

function truncated(): Error {
  return unavailable("an object file became shorter while it was read");
}
