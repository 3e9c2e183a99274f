/** Storage in this process: `memory:`. Everything is gone when it ends. */

import { type Open, unavailable } from "@mikcar/core";
import sortedBTree from "sorted-btree";
import type { ObjectHeaders, ObjectInfo, StorageBackend } from "../backend.ts";
import { deleteEach } from "../batch.ts";
import { requireHolds } from "../conditional.ts";
import { newETag } from "../etag.ts";
import { byteString, page } from "../listing.ts";

interface Stored {
  readonly info: ObjectInfo;
  readonly bytes: Buffer;
}

const BTree = sortedBTree.default; // the module is CommonJS with a default inside

export const open: Open<StorageBackend> = async () => {
  const objects = new BTree<string, Stored>();
  let isClosed = false;

  const find = (path: string): Stored | undefined => {
    if (isClosed) throw unavailable("the memory backend is closed");
    return objects.get(byteString(path));
  };
  const store = (path: string, bytes: Buffer, { contentType, cacheControl, metadata }: ObjectHeaders): ObjectInfo => {
    const kept = { contentType, ...(cacheControl === undefined ? {} : { cacheControl }), metadata };
    const info: ObjectInfo = { path, size: bytes.length, lastModified: new Date(), eTag: newETag(), ...kept };
    objects.set(byteString(path), { info, bytes });
    return info;
  };
  const copy = (from: string, to: string): ObjectInfo | undefined => {
    const stored = find(from);
    if (stored === undefined || from === to) return stored?.info;
    return store(to, stored.bytes, stored.info);
  };

  const backend: StorageBackend = {
    head: async (path) => find(path)?.info,

    get: async (path, { select }) => {
      const stored = find(path);
      if (stored === undefined) return undefined;
      const slice = select(stored.info);
      return { info: stored.info, slice, body: stored.bytes.subarray(slice.start, slice.end) };
    },

    put: async (path, body, headers, conditions) => {
      requireHolds(conditions, find(path)?.info.eTag); // before the body is read, to refuse early
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(chunk);
      requireHolds(conditions, find(path)?.info.eTag);
      return store(path, Buffer.concat(chunks), headers);
    },

    delete: async (path, conditions) => {
      requireHolds(conditions, find(path)?.info.eTag);
      return objects.delete(byteString(path));
    },

    deleteMany: (paths) => deleteEach(paths, (path) => backend.delete(path)),

    list: async (query) => {
      find("");
      const scan = function* (start: string): Generator<[string, ObjectInfo]> {
        for (const [key, { info }] of objects.entries(start)) yield [key, info];
      };
      return page(scan, query);
    },

    copy: async (from, to) => copy(from, to),

    move: async (from, to) => {
      const moved = copy(from, to);
      if (moved !== undefined && from !== to) objects.delete(byteString(from));
      return moved;
    },

    presign: async () => undefined,

    ping: async () => {
      find("");
    },

    close: async () => {
      isClosed = true;
      objects.clear();
    },
  };
  return backend;
};
