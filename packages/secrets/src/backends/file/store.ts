/** An encrypted file as a book: read again when it has changed, written anew for all changes of a moment together. */

import { statSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { configError, isMikcarError, type MikcarError, unavailable } from "@mikcar/core";
import { Book } from "../../book.ts";
import { locked } from "./lock.ts";
import { type Content, type Fault, seal, unseal } from "./seal.ts";

/** The book at a moment, and which file it was. */
interface Known {
  readonly book: Book;
  readonly generation: number;
  readonly identity: string;
}

interface Change {
  apply(book: Book): boolean;
  resolve(result: boolean): void;
  reject(error: unknown): void;
}

const ABSENT = "absent";
const SENTENCE: Readonly<Record<Fault, string>> = {
  "wrong-key": "it was encrypted with another key; set SECRETS_KEY to that key, or put its key file back",
  damaged: "it is damaged, or no file of this program; put a copy of it back",
};

export class SecretsFile {
  readonly #path: string;
  readonly #keys: () => readonly Buffer[];
  /** The one that opened the file. */
  #key: Buffer;
  #known: Known = { book: Book.of([]), generation: 0, identity: ABSENT };
  #loading: Promise<void> | undefined;
  #waiting: Change[] = [];
  #writing: Promise<void> | undefined;
  #isClosed = false;

  /** @param keys Those that may open it, at least one; asked for anew when the file has another than before. */
  constructor(path: string, keys: () => readonly Buffer[]) {
    this.#path = path;
    this.#keys = keys;
    this.#key = keys()[0] ?? Buffer.alloc(0);
  }

  /** @throws CONFIG_ERROR when the file is there and cannot be opened with the key. */
  async begin(): Promise<void> {
    const found = await this.#read();
    if (typeof found === "string") throw configError(`"${this.#path}": ${SENTENCE[found]}`);
    this.#known = found;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
  }

  /** As it is on the disk now. @throws UNAVAILABLE when it cannot be read, or is older than what has been seen. */
  async book(): Promise<Book> {
    this.#refuseClosed();
    return (await this.#current()).book;
  }

  /** True when `apply` has changed the book; then it is on the disk. @param apply Runs on a copy, once. */
  change(apply: (book: Book) => boolean): Promise<boolean> {
    this.#refuseClosed();
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#waiting.push({ apply, resolve, reject });
    this.#writing ??= this.#writeAll();
    return promise;
  }

  async #current(): Promise<Known> {
    while (identityOf(this.#path) !== this.#known.identity) await (this.#loading ??= this.#load());
    return this.#known;
  }

  async #load(): Promise<void> {
    try {
      const found = await this.#read();
      if (typeof found === "string") throw this.#unavailable(SENTENCE[found]);
      if (found.generation < this.#known.generation) {
        throw this.#unavailable("it is older than what was here before; start anew if it was put back on purpose");
      }
      this.#known = found;
    } catch (error) {
      throw this.#translate(error);
    } finally {
      this.#loading = undefined;
    }
  }

  async #read(): Promise<Known | Fault> {
    for (;;) {
      const identity = identityOf(this.#path);
      if (identity === ABSENT) return { book: Book.of([]), generation: 0, identity };
      const content = this.#open(await readFile(this.#path));
      if (identityOf(this.#path) !== identity) continue; // it was replaced meanwhile
      return typeof content === "string"
        ? content
        : { book: Book.of(content.pages), generation: content.generation, identity };
    }
  }

  #open(bytes: Buffer): Content | Fault {
    const content = unseal(bytes, this.#key);
    if (content !== "wrong-key") return content;
    for (const key of this.#keys()) {
      const again = unseal(bytes, key);
      if (again === "wrong-key") continue;
      this.#key = key;
      return again;
    }
    return content;
  }

  /** Group by group: what comes while one is written makes the next. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        const results = await this.#writeGroup(group);
        group.forEach(({ resolve }, at) => resolve(results[at] ?? false));
      } catch (error) {
        for (const { reject } of group) reject(this.#translate(error));
      }
    }
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Change[]): Promise<boolean[]> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    return locked(lockPath(this.#path), async () => {
      const { book: before, generation } = await this.#current();
      const book = before.clone();
      const results = group.map(({ apply }) => apply(book));
      if (results.includes(true)) await this.#replace(book, generation + 1);
      return results;
    });
  }

  async #replace(book: Book, generation: number): Promise<void> {
    await replaceFile(this.#path, { generation, pages: book.pages() }, this.#key);
    this.#known = { book, generation, identity: identityOf(this.#path) };
  }

  /** What the file system throws, as an error of ours. */
  #translate(error: unknown): MikcarError {
    if (isMikcarError(error)) return error;
    return unavailable(`"${this.#path}": ${(error as Error).message}`, { cause: error });
  }

  #unavailable(sentence: string): MikcarError {
    return unavailable(`"${this.#path}": ${sentence}`);
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw unavailable("the secrets are closed");
  }
}

/** Held by whoever writes the file. */
export function lockPath(path: string): string {
  return `${path}.lock`;
}

/** Afterwards the file is either as it was or all new, and on the disk, whatever happens meanwhile. */
export async function replaceFile(path: string, content: Content, key: Buffer): Promise<void> {
  const draft = `${path}.new`; // whoever holds the lock has it alone
  await rm(draft, { force: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(seal(content, key));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Another one after each replacement: a new file has another number, time of change or size. */
function identityOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? ABSENT : `${stat.ino} ${stat.ctimeNs} ${stat.size}`;
}
