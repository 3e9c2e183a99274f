/**
 * One LMDB file with tables of bytes in byte order. All writes go through `commit`, which runs the steps of all
 * requests of a moment against one draft and writes the outcome as one transaction, synced once.
 *
 * A transaction carries a generation number and holds only if no other process has committed meanwhile; otherwise the
 * steps run again. So any number of processes may share a file. LMDB's own callback transactions would hold its write
 * thread while JavaScript runs, and its synchronous ones stop the event loop for a disk sync.
 */

import { configError, isMikcarError, type MikcarError, unavailable } from "@mikcar/core";
import { type Database, open, type RootDatabase } from "lmdb";
import { MemoryDraft } from "./draft.ts";
import { prepareFile } from "./file.ts";
import { inTurn } from "./turn.ts";

export interface EnvironmentOptions {
  /** False: a commit is acknowledged before it is on the disk. Survives the end of the process, not that of the machine. */
  readonly sync?: boolean;
}

/** From `start`, included, to `end`, left out. */
export interface Range {
  readonly start?: Buffer;
  readonly end?: Buffer;
  readonly limit?: number;
}

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Reads what is committed. Keys have 1 to 1978 bytes. Every method throws UNAVAILABLE once the environment is closed. */
export interface Table {
  get(key: Buffer): Buffer | undefined;
  has(key: Buffer): boolean;
  keys(range: Range): Iterable<Buffer>;
  entries(range: Range): Iterable<Entry>;
}

/** The state as the steps of this commit have left it so far. */
export interface Draft {
  get(table: Table, key: Buffer): Buffer | undefined;
  has(table: Table, key: Buffer): boolean;
  put(table: Table, key: Buffer, value: Buffer): void;
  remove(table: Table, key: Buffer): void;
  /** In order, as they are at the time of the call. */
  entries(table: Table, range: Range): readonly Entry[];
}

interface Waiting {
  readonly step: (draft: Draft) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };
type Store = Database<Buffer, Buffer>;

const BYTES = { keyEncoding: "binary", encoding: "binary" } as const;
const GENERATION = Buffer.from("generation");
const NOTHING = Buffer.alloc(0);

/** @throws CONFIG_ERROR for a path that cannot be used, or holds a file of another kind. */
export function openEnvironment(path: string, options: EnvironmentOptions = {}): Environment {
  prepareFile(path);
  try {
    // Two processes that make one new file at once fail now and then.
    return inTurn(`${path}-opening`, () => new Environment(openRoot(path, options.sync === false)));
  } catch (cause) {
    if (isMikcarError(cause)) throw cause;
    const message = (cause as Error).message; // LMDB and the file system throw errors
    throw configError(`"${path}" cannot be opened (${message}); move it away, or name another file`, { cause });
  }
}

/**
 * Without batching by event turn, which does nothing for us and has a promise of its own that nobody could catch, and
 * without overlapping sync: a process that opened the file while another had committed but not yet synced could set it
 * back by that commit (seen once in 60 starts of two processes; not in 500 without it). A commit then is synced as it ends.
 */
function openRoot(path: string, noSync: boolean): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path,
    noSubdir: true,
    maxDbs: 16,
    noSync,
    eventTurnBatching: false,
    overlappingSync: false,
    ...BYTES,
  });
}

export class Environment {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #control: Store;
  #waiting: Waiting[] = [];
  #isCommitting = false;
  #idle: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #hasFailed = false;
  /** The generation up to which it is known who has committed; undefined before the first look. */
  #known: number | undefined;
  #foreignCommits = 0;
  /** A commit of ours may or may not be part of the generation. */
  #isWriting = false;

  constructor(root: RootDatabase<Buffer, Buffer>) {
    this.#root = root;
    this.#control = root.openDB({ name: "control", useVersions: true, ...BYTES });
  }

  table(name: string): Table {
    return new LmdbTable(this.#root.openDB({ name, ...BYTES }), () => {
      if (this.#isClosed) throw closed();
    });
  }

  /**
   * Runs `step` and resolves with what it returns once its writes are on the disk. Steps run one after the other in
   * the order of the calls; a step may run more than once and must do nothing but use the draft. One that throws must
   * not have written: it rejects alone. @throws UNAVAILABLE when the disk takes no more.
   */
  commit<T>(step: (draft: Draft) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closing !== undefined) return reject(closed());
      this.#waiting.push({ step, resolve, reject });
      if (this.#isCommitting) return;
      this.#isCommitting = true;
      this.#idle = new Promise((idle) => {
        setImmediate(() => void this.#commitAll().then(idle)); // after all requests of this turn have come in
      });
    });
  }

  /** Makes reads see what other processes have committed; commits of this one are always seen. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /** A number that every commit of any process raises. It makes reads see what was committed, as `refresh` does. */
  generation(): number {
    if (this.#isClosed) throw closed();
    this.refresh();
    return this.#control.getEntry(GENERATION)?.version ?? 0;
  }

  /**
   * How many commits of others have been seen. While one of ours is being written that cannot be told: those that come
   * meanwhile are counted when it is done.
   */
  foreignCommits(): number {
    if (!this.#isWriting) this.#look();
    return this.#foreignCommits;
  }

  /** Waits for the commits under way. From then on, reads throw UNAVAILABLE. Safe to call twice. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  #look(): number {
    const generation = this.generation();
    this.#foreignCommits += generation - (this.#known ?? generation);
    this.#known = generation;
    return generation;
  }

  async #close(): Promise<void> {
    await this.#idle;
    this.#isClosed = true;
    const isClosed = this.#root.close();
    if (!this.#hasFailed) await isClosed; // LMDB waits for the sync of its last commit, which never comes for a failed one
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        settle(batch, await this.#commitBatch(batch));
        this.#hasFailed = false;
      } catch (cause) {
        this.#hasFailed = true;
        // The reason comes as a promise that rejects; nobody else would catch it.
        (cause as { commitError?: Promise<never> }).commitError?.catch(() => undefined);
        const error = unavailable("the database file cannot be written", { cause });
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isCommitting = false;
  }

  async #commitBatch(batch: readonly Waiting[]): Promise<readonly Outcome[]> {
    for (;;) {
      const generation = this.#look();
      const draft = new MemoryDraft();
      const outcomes = batch.map(({ step }) => attempt(step, draft));
      if (draft.isEmpty) return outcomes;
      const write = (): void => {
        draft.forEach((table, key, value) => {
          const { store } = table as LmdbTable; // the only kind that table() makes
          void (value === undefined ? store.remove(key) : store.put(key, value));
        });
        void this.#control.put(GENERATION, NOTHING, generation + 1);
      };
      this.#isWriting = true;
      try {
        const isWritten =
          generation === 0
            ? await this.#control.ifNoExists(GENERATION, write)
            : await this.#control.ifVersion(GENERATION, generation, write);
        if (!isWritten) continue;
        this.#known = generation + 1;
      } finally {
        this.#isWriting = false;
      }
      await this.#root.flushed;
      return outcomes;
    }
  }
}

function closed(): MikcarError {
  return unavailable("the database is closed");
}

function attempt(step: Waiting["step"], draft: Draft): Outcome {
  try {
    return { value: step(draft) };
  } catch (error) {
    return { error };
  }
}

function settle(batch: readonly Waiting[], outcomes: readonly Outcome[]): void {
  batch.forEach(({ resolve, reject }, index) => {
    const outcome = outcomes[index] as Outcome; // one for each
    if ("error" in outcome) reject(outcome.error);
    else resolve(outcome.value as never); // the step's own type, kept by commit()
  });
}

class LmdbTable implements Table {
  readonly store: Store;
  /** LMDB's own error for a closed file does not say so. */
  readonly #refuseClosed: () => void;

  constructor(store: Store, refuseClosed: () => void) {
    this.store = store;
    this.#refuseClosed = refuseClosed;
  }

  get(key: Buffer): Buffer | undefined {
    this.#refuseClosed();
    return this.store.getBinary(key);
  }

  has(key: Buffer): boolean {
    this.#refuseClosed();
    return this.store.doesExist(key);
  }

  keys(range: Range): Iterable<Buffer> {
    this.#refuseClosed();
    return this.store.getKeys(range);
  }

  entries(range: Range): Iterable<Entry> {
    this.#refuseClosed();
    return this.store.getRange(range);
  }
}
