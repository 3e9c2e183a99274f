/**
 * Storage in a folder of plain files: `file:///var/lib/objects`, or `file://./objects` below the working folder.
 * Content types and metadata live in an LMDB index in `.mikcar`, in which also listings are read. One process at a time.
 * Files that others put into the folder, change or remove are noticed when their path is asked for.
 */

import { closeSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { join, resolve } from "node:path";
import { configError, type Open, type Preconditions, unavailable } from "@mikcar/core";
import type {
  DeleteReport,
  FoundObject,
  ListQuery,
  ObjectHeaders,
  ObjectInfo,
  Page,
  ReadRequest,
  Slice,
  StorageBackend,
} from "../../backend.ts";
import { deleteEach } from "../../batch.ts";
import { requireHolds } from "../../conditional.ts";
import { page } from "../../listing.ts";
import { Locks } from "../../lock.ts";
import { newETag } from "../../etag.ts";
import { translate, unusable } from "./errors.ts";
import { type OpenFile, openFile, readBody, Upload } from "./files.ts";
import { both, Folders } from "./folders.ts";
import { foundRecord, Index, infoOf, newRecord, type ObjectRecord } from "./records.ts";
import { indexAll, isSame, type Layout, prepare, settle } from "./recovery.ts";

export const open: Open<StorageBackend> = async (url) => {
  if (url.path === "") throw configError("the URL names no folder; write file:///path/to/folder");
  const layout = prepare(resolve(url.path));
  try {
    const index = new Index(layout.index);
    await settle(layout, index);
    await indexAll(layout, index);
    return new FileBackend(layout, index);
  } catch (error) {
    layout.release();
    throw unusable(layout.root, error);
  }
};

/** A file and the record that speaks of it. */
interface Version {
  readonly record: ObjectRecord;
  readonly file: OpenFile;
}

class FileBackend implements StorageBackend {
  readonly #layout: Layout;
  readonly #index: Index;
  readonly #folders: Folders;
  readonly #locks = new Locks();
  #isClosed = false;

  constructor(layout: Layout, index: Index) {
    this.#layout = layout;
    this.#index = index;
    this.#folders = new Folders(layout.root);
  }

  head(path: string): Promise<ObjectInfo | undefined> {
    return this.#run(async () => {
      const version = await this.#version(path);
      if (version === undefined) return undefined;
      closeSync(version.file.fd);
      return infoOf(path, version.record);
    });
  }

  get<S extends Slice>(path: string, { select }: ReadRequest<S>): Promise<FoundObject<S> | undefined> {
    return this.#run(async () => {
      const version = await this.#version(path);
      if (version === undefined) return undefined;
      const info = infoOf(path, version.record);
      const slice = selected(version.file, () => select(info));
      return { info, slice, body: await readBody(version.file, slice) };
    });
  }

  put(
    path: string,
    body: AsyncIterable<Buffer>,
    headers: ObjectHeaders,
    conditions?: Preconditions,
  ): Promise<ObjectInfo> {
    return this.#run(async () => {
      if (conditions !== undefined) requireHolds(conditions, (await this.head(path))?.eTag); // before the body is read
      const upload = await Upload.receive(this.#temporary(), body);
      return this.#locks.run(path, () => this.#store(path, upload, headers, conditions));
    });
  }

  delete(path: string, conditions?: Preconditions): Promise<boolean> {
    return this.#run(() =>
      this.#locks.run(path, async () => {
        const version = await this.#reconcile(path);
        if (version !== undefined) closeSync(version.file.fd);
        requireHolds(conditions, version?.record.eTag);
        if (version !== undefined) await this.#remove(path);
        return version !== undefined;
      }),
    );
  }

  deleteMany(paths: readonly string[]): Promise<DeleteReport> {
    return this.#run(() => deleteEach(paths, (path) => this.delete(path)));
  }

  list(query: ListQuery): Promise<Page> {
    return this.#run(async () => page((start) => this.#index.scan(start), query));
  }

  copy(from: string, to: string): Promise<ObjectInfo | undefined> {
    if (from === to) return this.head(from);
    return this.#run(async () => {
      const source = await this.#version(from);
      if (source === undefined) return undefined;
      const upload = await Upload.copyOf(source.file, this.#temporary()).finally(() => closeSync(source.file.fd));
      return this.#locks.run(to, () => this.#store(to, upload, source.record));
    });
  }

  move(from: string, to: string): Promise<ObjectInfo | undefined> {
    if (from === to) return this.head(from);
    return this.#run(() =>
      this.#locks.runBoth(from, to, async () => {
        const source = await this.#reconcile(from);
        if (source === undefined) return undefined;
        const upload = await Upload.linkTo(source.file, this.#temporary()).finally(() => closeSync(source.file.fd));
        const moved = await this.#store(to, upload, source.record);
        await this.#remove(from);
        return moved;
      }),
    );
  }

  presign(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  ping(): Promise<void> {
    return this.#run(() => this.#probe());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#index.close();
    this.#layout.release();
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw unavailable("the file backend is closed");
    try {
      return await work();
    } catch (error) {
      throw translate(error);
    }
  }

  /** The present version, opened. Only a file that its record does not speak of has to wait for writers of its path. */
  async #version(path: string): Promise<Version | undefined> {
    const record = this.#index.get(path);
    const file = openFile(this.#place(path).join("/"));
    if (file === undefined && record === undefined) return undefined;
    if (file !== undefined && record !== undefined && isSame(record, file.identity)) return { record, file };
    if (file !== undefined) closeSync(file.fd);
    return this.#locks.run(path, () => this.#reconcile(path));
  }

  /** As `#version`, under the lock of the path: what differs now was changed by others, and the record is made to follow. */
  async #reconcile(path: string): Promise<Version | undefined> {
    const file = openFile(this.#place(path).join("/"));
    const record = this.#index.get(path);
    if (file === undefined) {
      if (record !== undefined) await this.#index.finish(path, null);
      return undefined;
    }
    if (record !== undefined && isSame(record, file.identity)) return { record, file };
    const { ino, mtimeMs, size } = file.identity;
    const isRestored = record !== undefined && record.mtimeMs === mtimeMs && record.size === size; // from a backup
    const followed = isRestored ? { ...record, ino } : foundRecord(path, file.identity);
    await this.#index.finish(path, followed);
    return { record: followed, file };
  }

  /** Under the lock of `path`. Takes the upload: it is in its place afterwards, or gone. */
  async #store(path: string, upload: Upload, headers: ObjectHeaders, conditions?: Preconditions): Promise<ObjectInfo> {
    const record = newRecord(upload.identity, headers);
    const isReplacing = this.#index.get(path) !== undefined;
    try {
      const check = (present: ObjectRecord | undefined): void => requireHolds(conditions, present?.eTag);
      await both(this.#index.stage(path, record, check), upload.sync());
      const commit = (): Promise<void> => this.#index.finish(path, record); // what is staged is on disk
      await this.#folders.place(upload.path, this.#layout.names.encode(path), isReplacing, commit);
    } catch (error) {
      await upload.discard();
      throw error;
    }
    upload.close();
    return infoOf(path, record);
  }

  /** Under the lock of `path`. */
  async #remove(path: string): Promise<void> {
    await this.#index.stage(path, null);
    await this.#folders.remove(this.#layout.names.encode(path));
    await this.#index.finish(path, null);
  }

  /** Reads the index, and asks whether the folder may be written. */
  async #probe(): Promise<void> {
    this.#index.get("ping");
    await access(this.#layout.temporary, constants.W_OK);
  }

  #place(path: string): string[] {
    return [this.#layout.root, ...this.#layout.names.encode(path)];
  }

  #temporary(): string {
    return join(this.#layout.temporary, newETag());
  }
}

function selected<S>(file: OpenFile, select: () => S): S {
  try {
    return select();
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}
