/**
 * Emails caught in a folder, and sent to nobody: `file:///path/outbox`. Each is one `.eml` file, as mail programs open
 * it, and durable when it is answered. What the file may not tell (the envelope, so that `bcc` can be shown) lies in `.mikcar`
 * below. Several processes may share the folder, and files that are not ours stay as they are.
 */

import { randomUUID } from "node:crypto";
import { constants, existsSync, mkdirSync, readdirSync } from "node:fs";
import { access, open as openFile, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { badRequest, configError, isMikcarError, type Open, unavailable } from "@mikcar/core";
import { type CaughtPage, type EmailBackend, type Message, PAGE_BYTES, type Rejected } from "../backend.ts";

const PRIVATE = ".mikcar";
/** When, which of that moment, and the first part of the id. */
const NAME = /^\d{8}T\d{9}Z-\d{6}-([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/;
const ENDING = ".eml";
const LEFT_OVER_MS = 60 * 60 * 1000; // what is older was being written when its process ended
const MINE_ALONE = 0o600;

type Envelope = Omit<Message, "raw">;

export const open: Open<EmailBackend> = async ({ path }) => {
  if (path === "") throw configError("file: the folder is missing; write file:///path/to/outbox");
  const folder = resolve(path);
  try {
    makeFolder(join(folder, PRIVATE));
    await access(folder, constants.W_OK);
    await removeLeftOvers(join(folder, PRIVATE));
  } catch (cause) {
    throw configError(
      `cannot use the folder ${folder} (${codeOf(cause) ?? String(cause)}); it must be one that this user may create or write`,
      { cause },
    );
  }
  return new FileOutbox(folder);
};

class FileOutbox implements EmailBackend {
  readonly #folder: string;
  readonly #private: string;
  readonly #open = new Set<Promise<unknown>>();
  #count = 0;
  #isClosed = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#private = join(folder, PRIVATE);
  }

  send({ raw, ...envelope }: Message): Promise<readonly Rejected[]> {
    return this.#run(async () => {
      const name = this.#newName(envelope.id);
      const temporary = join(this.#private, `${name}.tmp`);
      try {
        await writeSynced(this.#envelope(name), JSON.stringify(envelope));
        await writeSynced(temporary, raw);
        await syncFolder(this.#private);
        await rename(temporary, this.#message(name));
      } catch (error) {
        await Promise.all([temporary, this.#envelope(name)].map((path) => rm(path, { force: true })));
        throw error;
      }
      await syncFolder(this.#folder);
      return [];
    });
  }

  listCaught(limit: number, cursor: string | undefined): Promise<CaughtPage> {
    return this.#run(async () => {
      if (cursor !== undefined && !NAME.test(cursor)) throw badRequest("cursor: it is none of this outbox");
      const names = (await this.#names()).filter((name) => cursor === undefined || name < cursor);
      const messages: Message[] = [];
      let bytes = 0;
      let last: string | undefined;
      for (const name of names) {
        if (messages.length === limit) return { messages, cursor: last };
        const message = await this.#read(name);
        if (message === undefined) continue;
        bytes += message.raw.length;
        if (messages.length > 0 && bytes > PAGE_BYTES) return { messages, cursor: last };
        messages.push(message);
        last = name;
      }
      return { messages, cursor: undefined };
    });
  }

  getCaught(id: string): Promise<Message | undefined> {
    return this.#run(async () => {
      const name = (await this.#names()).find((found) => NAME.exec(found)?.[1] === id.split("@")[0]);
      const message = name === undefined ? undefined : await this.#read(name);
      return message?.id === id ? message : undefined;
    });
  }

  clearCaught(): Promise<number> {
    return this.#run(async () => {
      const names = await this.#names();
      for (const name of names) {
        await rm(this.#message(name), { force: true });
        await rm(this.#envelope(name), { force: true });
      }
      await syncFolder(this.#folder);
      return names.length;
    });
  }

  ping(): Promise<void> {
    return this.#run(() => access(this.#private, constants.W_OK));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#open);
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(unavailable("the outbox is closed"));
    const running = work().catch((error: unknown) => {
      throw isMikcarError(error) ? error : unavailable(`the outbox folder: ${String(error)}`, { cause: error });
    });
    this.#open.add(running);
    const forget = (): boolean => this.#open.delete(running);
    running.then(forget, forget);
    return running;
  }

  /** Of messages, the newest first. */
  async #names(): Promise<string[]> {
    const files = await readdir(this.#folder);
    const names = files.filter((file) => file.endsWith(ENDING)).map((file) => file.slice(0, -ENDING.length));
    return names
      .filter((name) => NAME.test(name))
      .sort()
      .reverse();
  }

  /** Undefined when it has been removed meanwhile. */
  async #read(name: string): Promise<Message | undefined> {
    try {
      const [raw, envelope] = await Promise.all([
        readFile(this.#message(name)),
        readFile(this.#envelope(name), "utf8"),
      ]);
      return { ...readEnvelope(envelope, name), raw };
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #newName(id: string): string {
    const time = new Date().toISOString().replaceAll(/[-:.]/g, "");
    const [uuid = randomUUID()] = id.split("@");
    this.#count = (this.#count + 1) % 1_000_000;
    return `${time}-${String(this.#count).padStart(6, "0")}-${uuid}`;
  }

  #message(name: string): string {
    return join(this.#folder, name + ENDING);
  }

  #envelope(name: string): string {
    return join(this.#private, `${name}.json`);
  }
}

/** As `send` has written it; of one that is damaged, as when the disk was full, only the id is left. */
function readEnvelope(text: string, name: string): Envelope {
  try {
    return JSON.parse(text) as Envelope;
  } catch {
    return { id: name, sender: "", recipients: [] };
  }
}

/** With those above it. Node's own recursion never ends where nothing can be made, as in `/proc`. */
function makeFolder(path: string): void {
  if (existsSync(path)) return void readdirSync(path); // throws for a file
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

async function removeLeftOvers(folder: string): Promise<void> {
  for (const file of await readdir(folder)) {
    if (!file.endsWith(".tmp")) continue;
    const stats = await stat(join(folder, file)).catch(() => undefined); // it has been moved meanwhile
    if (stats === undefined || Date.now() - stats.mtimeMs < LEFT_OVER_MS) continue;
    await rm(join(folder, file), { force: true });
    await rm(join(folder, file.replace(/tmp$/, "json")), { force: true });
  }
}

async function writeSynced(path: string, data: string | Buffer): Promise<void> {
  const file = await openFile(path, "wx", MINE_ALONE);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** So that names that were given or taken in it survive the end of the machine. */
async function syncFolder(path: string): Promise<void> {
  const folder = await openFile(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
