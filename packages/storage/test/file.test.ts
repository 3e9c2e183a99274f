import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/file/index.ts";
import { Index, newRecord, type ObjectRecord } from "../src/backends/file/records.ts";
import { Names } from "../src/backends/file/names.ts";
import { broken, list, PLAIN, paths, put, read, storageContract, stream, text } from "./contract.ts";
import { storageWire } from "./wire.ts";

const folders: { remove(): void }[] = [];
function freshFolder(): string {
  const folder = temporaryFolder();
  folders.push(folder);
  return folder.path;
}
afterEach(() => folders.splice(0).forEach((folder) => folder.remove()));

const openAt = (path: string): Promise<StorageBackend> => open(configUrl(fileUrl(path)));

const harness = { open: () => openAt(freshFolder()) };
storageContract("file", harness);
storageWire("file", harness);

describe("the file backend", () => {
  let root: string;
  let outside: string;
  let storage: StorageBackend;
  beforeEach(async () => {
    root = freshFolder();
    outside = freshFolder();
    storage = await openAt(root);
  });
  afterEach(() => storage.close());

  const reopen = async (): Promise<void> => {
    await storage.close();
    storage = await openAt(root);
  };
  const temporaries = (): string[] => readdirSync(join(root, ".mikcar/tmp"));

  it("keeps objects as plain files that a person can read", async () => {
    await put(storage, "docs/a b.txt", "hello");
    await put(storage, "docs", "an object beside the folder");

    expect(readFileSync(join(root, "docs/a b.txt"), "utf8")).toBe("hello");
    expect(readFileSync(join(root, "docs%object"), "utf8")).toBe("an object beside the folder");
  });

  it("has everything again after it is opened anew", async () => {
    const created = await storage.put("a/b", stream("x"), {
      contentType: "x/y",
      cacheControl: "z",
      metadata: { k: "v" },
    });

    await reopen();

    expect(await storage.head("a/b")).toEqual(created);
    expect(await text(storage, "a/b")).toBe("x");
  });

  it("leaves nothing behind: no temporary file after a broken upload, no folder after the last object in it", async () => {
    await expect(storage.put("p/q", broken("part"), PLAIN)).rejects.toThrow();
    await put(storage, "a/b/c/d");
    await storage.move("a/b/c/d", "e/f");
    await storage.copy("e/f", "g/h");
    await storage.deleteMany(["e/f", "g/h"]);

    expect(temporaries()).toEqual([]);
    expect(readdirSync(root)).toEqual([".mikcar"]);
  });

  it("keeps memory and open files flat while readers leave early", async () => {
    await put(storage, "big", Buffer.alloc(2_000_000));
    const openFiles = (): number => readdirSync("/proc/self/fd").length;
    const before = openFiles();

    for (let round = 0; round < 20; round += 1) {
      const request = { conditions: undefined, range: undefined, select: () => ({ start: 0, end: 2_000_000 }) };
      const body = (await storage.get("big", request))?.body as AsyncIterable<Buffer>;
      const iterator = body[Symbol.asyncIterator]();
      if (round % 2 === 0) await iterator.next();
      await iterator.return?.();
    }

    expect(openFiles()).toBe(before);
  });

  describe("with files that others put there", () => {
    it("indexes a folder that has no index yet", async () => {
      const other = freshFolder();
      mkdirSync(join(other, "a/b"), { recursive: true });
      writeFileSync(join(other, "a/b/c.html"), "<p>");
      writeFileSync(join(other, "50%25"), "fifty");
      writeFileSync(join(other, "no%zz"), "no path leads here");
      symlinkSync("/etc/passwd", join(other, "link"));
      symlinkSync("/etc", join(other, "linked"));

      const found = await openAt(other);

      expect(await paths(found)).toEqual(["50%", "a/b/c.html"]);
      expect(await found.head("a/b/c.html")).toMatchObject({ size: 3, contentType: "text/html", metadata: {} });
      await found.close();
    });

    it("finds a new one when asked for it, and lists it from then on", async () => {
      writeFileSync(join(root, "new.json"), "{}");

      expect(await storage.head("new.json")).toMatchObject({ size: 2, contentType: "application/json" });

      expect(await paths(storage)).toEqual(["new.json"]);
    });

    it("gives a changed one a new entity tag", async () => {
      const { eTag } = await put(storage, "x", "one");
      writeFileSync(join(root, "x"), "other");

      expect(await text(storage, "x")).toBe("other");

      expect((await storage.head("x"))?.eTag).not.toBe(eTag);
    });

    it("takes a removed one for absent, also in conditions", async () => {
      await put(storage, "x");
      await put(storage, "y");
      rmSync(join(root, "x"));
      rmSync(join(root, "y"));

      expect(await storage.head("x")).toBeUndefined();
      await storage.put("y", stream("again"), PLAIN, { ifNoneMatch: "*" });

      expect(await paths(storage)).toEqual(["y"]);
    });

    it("keeps type, metadata and entity tag of one that came back from a backup", async () => {
      const created = await storage.put("x", stream("kept"), { contentType: "x/y", metadata: { k: "v" } });
      execFileSync("cp", ["-p", join(root, "x"), join(outside, "x")]);
      rmSync(join(root, "x"));
      execFileSync("cp", ["-p", join(outside, "x"), join(root, "x")]);

      expect(await storage.head("x")).toEqual(created);
    });

    it("does not wait at a pipe", async () => {
      execFileSync("mkfifo", [join(root, "pipe")]);

      expect(await text(storage, "pipe")).toBeUndefined();
    });
  });

  describe("with symbolic links", () => {
    beforeEach(() => {
      writeFileSync(join(outside, "secret"), "secret");
      symlinkSync(join(outside, "secret"), join(root, "link"));
      symlinkSync(outside, join(root, "linked"));
    });

    it("reads, lists, copies and moves nothing through them", async () => {
      for (const path of ["link", "linked/secret"]) {
        expect(await text(storage, path)).toBeUndefined();
        expect(await storage.head(path)).toBeUndefined();
        expect(await storage.copy(path, "copy")).toBeUndefined();
        expect(await storage.move(path, "moved")).toBeUndefined();
      }
      expect(await paths(storage)).toEqual([]);
      expect(readdirSync(outside)).toEqual(["secret"]);
    });

    it("writes and makes nothing through them", async () => {
      await put(storage, "x");

      for (const path of ["linked/new", "linked/secret", "linked/deep/er/new", "link/new"]) {
        await expect(put(storage, path)).rejects.toMatchObject({ code: "CONFLICT" });
        await expect(storage.copy("x", path)).rejects.toMatchObject({ code: "CONFLICT" });
        await expect(storage.move("x", path)).rejects.toMatchObject({ code: "CONFLICT" });
      }

      expect(readdirSync(outside)).toEqual(["secret"]);
      expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
      expect(await paths(storage)).toEqual(["x"]);
      expect(temporaries()).toEqual([]);
    });

    it("deletes nothing through them", async () => {
      mkdirSync(join(outside, "empty"));

      for (const path of ["link", "linked/secret", "linked/empty/x"]) expect(await storage.delete(path)).toBe(false);

      expect(readdirSync(outside).sort()).toEqual(["empty", "secret"]);
      expect(existsSync(join(root, "link"))).toBe(true);
    });

    it("replaces a link by the object, and leaves alone what it led to", async () => {
      await put(storage, "link", "mine");

      expect(await text(storage, "link")).toBe("mine");
      expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    });

    it("does not follow a folder that was moved away and linked back", async () => {
      await put(storage, "moved/x");
      renameSync(join(root, "moved"), join(outside, "moved"));
      symlinkSync(join(outside, "moved"), join(root, "moved"));

      expect(await text(storage, "moved/x")).toBeUndefined();
      await expect(put(storage, "moved/y")).rejects.toMatchObject({ code: "CONFLICT" });
      expect(await storage.delete("moved/x")).toBe(false);
      expect(readdirSync(join(outside, "moved"))).toEqual(["x"]);
    });
  });

  it("throws away what a crash left in its folder for temporary files", async () => {
    writeFileSync(join(root, ".mikcar/tmp/left"), "over");

    await reopen();

    expect(temporaries()).toEqual([]);
  });

  describe("after a crash between two steps", () => {
    /** The state that a crash leaves: what is staged, and what the folder holds. */
    const crash = async (path: string, record: ObjectRecord | null): Promise<void> => {
      await storage.close();
      const index = new Index(join(root, ".mikcar/index.lmdb"));
      await index.stage(path, record);
      await index.close();
    };
    const recordOf = (file: string): ObjectRecord => {
      const { ino, mtimeMs, size } = statSync(file);
      return newRecord({ ino, mtimeMs, size }, { contentType: "x/new", metadata: {} });
    };

    it("takes a put whose file is in its place for done", async () => {
      await put(storage, "x", "old");
      writeFileSync(join(root, "upload"), "new bytes");
      renameSync(join(root, "upload"), join(root, "x"));
      const record = recordOf(join(root, "x"));
      await crash("x", record);

      storage = await openAt(root);

      expect((await list(storage)).objects).toEqual([
        expect.objectContaining({ path: "x", size: 9, eTag: record.eTag }),
      ]);
      expect(await storage.head("x")).toMatchObject({ contentType: "x/new", eTag: record.eTag });
    });

    it("takes a put whose file never came for not done", async () => {
      const before = await put(storage, "x", "old");
      writeFileSync(join(outside, "upload"), "new bytes");
      await crash("x", recordOf(join(outside, "upload")));

      storage = await openAt(root);

      expect(await storage.head("x")).toEqual(before);
      expect(await text(storage, "x")).toBe("old");
    });

    it("finishes a delete whose file is gone, and forgets one whose file is there", async () => {
      await put(storage, "gone");
      const kept = await put(storage, "kept");
      rmSync(join(root, "gone"));
      await crash("gone", null);
      await crash("kept", null);

      storage = await openAt(root);

      expect(await paths(storage)).toEqual(["kept"]);
      expect(await storage.head("kept")).toEqual(kept);
    });
  });

  describe("that cannot start", () => {
    const refusal = (path: string): Promise<unknown> =>
      openAt(path).then(
        () => "it opened",
        (error: unknown) => error,
      );

    it("names a file that stands where the folder should be, and the way out", async () => {
      writeFileSync(join(outside, "file"), "");

      expect(await refusal(join(outside, "file"))).toMatchObject({
        code: "CONFIG_ERROR",
        message: expect.stringMatching(
          /cannot use the folder .*file \((EEXIST|ENOTDIR)\).*choose another: file:\/\/\//,
        ),
      });
      expect(await refusal(join(outside, "file/below"))).toMatchObject({ code: "CONFIG_ERROR" });
    });

    it("names a folder in which nothing can be made", async () => {
      expect(await refusal("/proc/nothing")).toMatchObject({
        code: "CONFIG_ERROR",
        message: expect.stringContaining("/proc/nothing"),
      });
    });

    it("asks for a folder when the URL has none", async () => {
      await expect(open(configUrl("file:"))).rejects.toMatchObject({ code: "CONFIG_ERROR" });
    });

    it("refuses a link in the place of its own folder", async () => {
      const other = freshFolder();
      symlinkSync(outside, join(other, ".mikcar"));

      expect(await refusal(other)).toMatchObject({
        code: "CONFIG_ERROR",
        message: expect.stringContaining("symbolic link"),
      });
    });
  });

  it("is down when its folder is gone", async () => {
    rmSync(root, { recursive: true });

    await expect(storage.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("reads a page far into a listing without walking there", async () => {
    for (let index = 0; index < 50; index += 1) await put(storage, `n/${String(index).padStart(3, "0")}`, "");

    expect((await list(storage, { after: "n/040", limit: 3 })).objects.map(({ path }) => path)).toEqual([
      "n/041",
      "n/042",
      "n/043",
    ]);
  });

  it("serves a file whose time is older than the record of another one", async () => {
    await put(storage, "x", "one");
    writeFileSync(join(root, "x"), "two");
    utimesSync(join(root, "x"), 1, 1);

    expect(await text(storage, "x")).toBe("two");
    expect(Number((await storage.head("x"))?.lastModified)).toBe(1000);
    expect(statSync(join(root, "x")).size).toBe(3);
    expect((await read(storage, "x"))?.length).toBe(3);
  });
});

describe("file names", () => {
  it("differ for all paths where the file system folds cases and forms", () => {
    const names = new Names(true);
    const encoded = ["A", "a", "é", "e\u0301", "a b", "%41"].map((path) => names.encode(path).join("/"));

    expect(new Set(encoded.map((name) => name.toLowerCase().normalize("NFC"))).size).toBe(6);
    expect(encoded.map((name) => names.decode([name]))).toEqual(["A", "a", "é", "e\u0301", "a b", "%41"]);
  });
});
