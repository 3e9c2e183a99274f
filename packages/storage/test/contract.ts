/** What the storage interface means, whatever is behind it. */

import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type {
  ListedObject,
  ListQuery,
  ObjectBody,
  ObjectHeaders,
  ObjectInfo,
  Page,
  Slice,
  StorageBackend,
  Written,
} from "../src/backend.ts";
import { byteString, page } from "../src/listing.ts";

/**
 * Every difference we accept, by name.
 * tag-of-bytes: the entity tag is made of the bytes, so the same bytes written again have the same one.
 * no-proto-metadata: metadata named `__proto__` is refused with BAD_REQUEST.
 * no-dot-at-the-end: a path with a segment that ends in a dot is refused.
 * short-of-the-prefix: a path has so much less than 1024 bytes as the prefix of the URL takes, which has nine.
 * objects-hide-folders: what is below an object, `x/y` below `x`, can be read and written, and is not listed.
 * racing-folders: a write below a folder that goes away at the same moment may fail, and is to be sent again.
 * short-segments: a segment of a path has at most 255 bytes; a longer one is refused with BAD_REQUEST.
 */
export type Quirk =
  | "tag-of-bytes"
  | "no-proto-metadata"
  | "no-dot-at-the-end"
  | "short-of-the-prefix"
  | "objects-hide-folders"
  | "racing-folders"
  | "short-segments";

export interface Harness {
  /** Fresh and empty. */
  open(): Promise<StorageBackend>;
  /** Each with the reason. */
  readonly quirks?: Readonly<Partial<Record<Quirk, string>>>;
}

export const PLAIN: ObjectHeaders = { contentType: "text/plain", metadata: {} };

export async function* stream(...chunks: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export async function* broken(...chunks: readonly string[]): AsyncGenerator<Buffer> {
  yield* stream(...chunks);
  throw new Error("the client went away");
}

export async function collect(body: ObjectBody): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return body;
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk)); // a piece is good until the next one
  return Buffer.concat(chunks);
}

export function put(storage: StorageBackend, path: string, text: string | Buffer = path): Promise<Written> {
  return storage.put(path, stream(text), PLAIN);
}

export async function read(storage: StorageBackend, path: string, slice?: Slice): Promise<Buffer | undefined> {
  const select = ({ size }: ObjectInfo): Slice => slice ?? { start: 0, end: size };
  const found = await storage.get(path, { conditions: undefined, range: undefined, select });
  return found === undefined ? undefined : collect(found.body);
}

export async function text(storage: StorageBackend, path: string): Promise<string | undefined> {
  return (await read(storage, path))?.toString();
}

export function list(
  storage: StorageBackend,
  query: Partial<Parameters<StorageBackend["list"]>[0]> = {},
): Promise<Page> {
  return storage.list({ prefix: "", after: undefined, limit: 1000, delimiter: undefined, ...query });
}

export async function paths(storage: StorageBackend, query: Parameters<typeof list>[1] = {}): Promise<string[]> {
  return (await list(storage, query)).objects.map(({ path }) => path);
}

/** Siblings that sort before and behind the slash of a folder, beside and in it. */
const TREE: readonly string[] = [
  ...["a/", "r-", "r/"].flatMap((begin) => Array.from({ length: 12 }, (_, number) => `dd/${begin}${number}`)),
  ...["q-1", "q-2", "q/w-1", "q/w/z", "q/w0", "m/n/1", "r0", "z1", "z2"].map((path) => `dd/${path}`),
  "d",
  "dd0",
];

/** What a listing of these paths is. */
function pageOf(
  all: readonly string[],
  query: ListQuery,
): { readonly paths: readonly string[] } & Omit<Page, "objects"> {
  const objects = all
    .map((path): readonly [string, ListedObject] => [
      byteString(path),
      { path, size: path.length, lastModified: new Date(0), eTag: "" },
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return shapeOf(page((start) => objects.filter(([key]) => key >= start), query));
}

function shapeOf({ objects, prefixes, next }: Page): ReturnType<typeof pageOf> {
  return { paths: objects.map(({ path }) => path), prefixes, next };
}

export function storageContract(name: string, harness: Harness): void {
  describe(`${name} keeps the storage contract`, () => {
    const hidesFolders = harness.quirks?.["objects-hide-folders"] !== undefined;
    let storage: StorageBackend;
    beforeEach(async () => {
      storage = await harness.open();
    });
    afterEach(() => storage.close());

    describe("one object", () => {
      it("comes back with its bytes, type, cache control and metadata", async () => {
        const headers = {
          contentType: "text/html",
          cacheControl: "no-store",
          metadata: { author: "Ada", __proto__x: "" },
        };
        const created = await storage.put("a/b.html", stream("<p>", "hello"), headers);

        const info = await storage.head("a/b.html");

        expect(info).toEqual({
          path: "a/b.html",
          size: 8,
          lastModified: expect.any(Date),
          eTag: created.eTag,
          ...headers,
        });
        expect(created.size).toBe(8);
        expect(Math.abs(Date.now() - Number(info?.lastModified))).toBeLessThan(60_000);
        expect(await text(storage, "a/b.html")).toBe("<p>hello");
      });

      it("may be empty", async () => {
        await storage.put("empty", stream(), PLAIN);

        expect(await text(storage, "empty")).toBe("");
        expect((await storage.head("empty"))?.size).toBe(0);
      });

      it("may be larger than any buffer on the way, and is read in part", async () => {
        const bytes = Buffer.alloc(3_000_000, "0123456789");
        await storage.put("big", stream(bytes.subarray(0, 1_000_001), bytes.subarray(1_000_001)), PLAIN);

        expect((await read(storage, "big"))?.equals(bytes)).toBe(true);
        expect((await read(storage, "big", { start: 7, end: 2_000_000 }))?.equals(bytes.subarray(7, 2_000_000))).toBe(
          true,
        );
        expect((await read(storage, "big", { start: 999, end: 1002 }))?.toString()).toBe("901");
        expect((await read(storage, "big", { start: 5, end: 5 }))?.length).toBe(0);
      });

      it("has another entity tag after every write, even of the same bytes", async () => {
        const bodies = harness.quirks?.["tag-of-bytes"] === undefined ? ["same", "same"] : ["one", "other"];

        const tags: string[] = [];
        for (const body of bodies) tags.push((await put(storage, "x", body)).eTag);

        expect(new Set(tags).size).toBe(2);
      });

      it("is absent before it is written and after it is deleted", async () => {
        expect(await storage.head("x")).toBeUndefined();
        expect(await read(storage, "x")).toBeUndefined();
        expect(await storage.delete("x")).toBe(false);

        await put(storage, "x");
        expect(await storage.delete("x")).toBe(true);

        expect(await storage.head("x")).toBeUndefined();
        expect(await read(storage, "x")).toBeUndefined();
        expect(await storage.delete("x")).toBe(false);
        expect(await paths(storage)).toEqual([]);
      });

      it("throws to the reader what its selection throws, and can be read again", async () => {
        await put(storage, "x");
        const select = (): Slice => {
          throw new RangeError("not this one");
        };

        await expect(storage.get("x", { conditions: undefined, range: undefined, select })).rejects.toThrow(RangeError);

        expect(await text(storage, "x")).toBe("x");
      });

      it("is left as it was when the body breaks off", async () => {
        await put(storage, "old", "before");

        await expect(storage.put("old", broken("new"), PLAIN)).rejects.toThrow("the client went away");
        await expect(storage.put("new", broken("new"), PLAIN)).rejects.toThrow("the client went away");

        expect(await text(storage, "old")).toBe("before");
        expect(await storage.head("new")).toBeUndefined();
        expect(await paths(storage)).toEqual(["old"]);
      });

      it("is read whole while it is replaced a hundred times, with the headers of that version", async () => {
        const version = (number: number): ObjectHeaders => ({
          contentType: `x/${number}`,
          metadata: { n: String(number) },
        });
        const bytes = (number: number): Buffer => Buffer.alloc(200_000, String.fromCharCode(65 + (number % 26)));
        await storage.put("x", stream(bytes(0)), version(0));
        let isWriting = true;
        const write = async (): Promise<void> => {
          for (let number = 1; number <= 100; number += 1)
            await storage.put("x", stream(bytes(number)), version(number));
          isWriting = false;
        };
        const readOn = async (): Promise<void> => {
          while (isWriting) {
            const found = await storage.get("x", {
              conditions: undefined,
              range: undefined,
              select: ({ size }) => ({ start: 0, end: size }),
            });
            if (found === undefined) throw new Error("the object was absent for a moment");
            const number = Number(found.info.metadata["n"]);
            const body = await collect(found.body);
            expect(found.info.contentType).toBe(`x/${number}`);
            expect(body.equals(bytes(number))).toBe(true);
            await new Promise((resolve) => setTimeout(resolve, 2)); // three readers are not to starve the writer
          }
        };

        await Promise.all([write(), readOn(), readOn(), readOn()]);
      });
    });

    describe("conditions", () => {
      it("let exactly one of fifty writers create an object", async () => {
        const attempts = Array.from({ length: 50 }, (_, index) =>
          storage.put("once", stream(String(index)), PLAIN, { ifNoneMatch: "*" }).then(
            () => index,
            (error: { code: string }) => error.code,
          ),
        );

        const results = await Promise.all(attempts);

        const winners = results.filter((result) => typeof result === "number");
        expect(winners).toHaveLength(1);
        expect(results.filter((result) => result === "PRECONDITION_FAILED")).toHaveLength(49);
        expect(await text(storage, "once")).toBe(String(winners[0]));
      });

      it("let a writer replace the version it knows, and no other", async () => {
        const { eTag } = await put(storage, "x", "one");

        const second = await storage.put("x", stream("two"), PLAIN, { ifMatch: [eTag] });

        const stale = storage.put("x", stream("three"), PLAIN, { ifMatch: [eTag] });
        await expect(stale).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
        await expect(storage.delete("x", { ifMatch: [eTag] })).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
        const absent = storage.put("y", stream("three"), PLAIN, { ifMatch: "*" });
        await expect(absent).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
        expect(await text(storage, "x")).toBe("two");
        expect(await storage.delete("x", { ifMatch: [second.eTag] })).toBe(true);
      });

      it("are looked at before the body is read, and once more after it", async () => {
        const { eTag } = await put(storage, "x", "one");
        async function* slow(): AsyncGenerator<Buffer> {
          await put(storage, "x", "meanwhile");
          yield Buffer.from("late");
        }
        // oxlint-disable-next-line require-yield
        async function* unread(): AsyncGenerator<Buffer> {
          throw new Error("the body was read");
        }

        await expect(storage.put("x", slow(), PLAIN, { ifMatch: [eTag] })).rejects.toMatchObject({
          code: "PRECONDITION_FAILED",
        });
        await expect(storage.put("x", unread(), PLAIN, { ifNoneMatch: "*" })).rejects.toMatchObject({
          code: "PRECONDITION_FAILED",
        });

        expect(await text(storage, "x")).toBe("meanwhile");
      });
    });

    describe("paths", () => {
      const ALL = [
        "x",
        "x/y",
        "x/y/z",
        "ü/é ü",
        "e\u0301",
        "50% off?#&+",
        "%25",
        "%2F",
        "%object",
        "x%object",
        "a%+",
        "😀",
        "\uffee",
        "A",
        "a",
        ".mikcar",
        ".mikcar/tmp/x",
        "...",
        "~",
        "a:b",
        "s".repeat(1024),
        `${"é".repeat(500)}/f`,
        `${"%".repeat(250)}/${"%".repeat(250)}`,
        "con",
        "trailing. ",
        "007",
        "1e5",
        "true",
      ];
      const AWKWARD = ALL.filter((path) => !isTooLong(path) && !path.split("/").some(isRefused));
      function isHidden(path: string): boolean {
        return hidesFolders && AWKWARD.some((other) => path.startsWith(`${other}/`));
      }
      function isRefused(segment: string): boolean {
        const { quirks = {} } = harness;
        if (quirks["no-dot-at-the-end"] !== undefined && segment.endsWith(".")) return true;
        return quirks["short-segments"] !== undefined && Buffer.byteLength(segment) > 255;
      }
      function isTooLong(path: string): boolean {
        return harness.quirks?.["short-of-the-prefix"] !== undefined && Buffer.byteLength(path) > 1015;
      }

      it("are kept as they were given, however awkward", async () => {
        for (const path of AWKWARD) await put(storage, path);

        for (const path of AWKWARD) expect(await text(storage, path)).toBe(path);
        const expected = AWKWARD.filter((path) => !isHidden(path)).sort((a, b) =>
          Buffer.compare(Buffer.from(a), Buffer.from(b)),
        );
        expect(await paths(storage)).toEqual(expected);
        for (const path of AWKWARD) expect(await storage.delete(path)).toBe(true);
        expect(await paths(storage)).toEqual([]);
      });

      it("are refused, where the store has no room for their segments", async () => {
        for (const path of ALL.filter((each) => !AWKWARD.includes(each))) {
          await expect(put(storage, path)).rejects.toMatchObject({ code: "BAD_REQUEST" });
        }
      });

      it("may be both an object and a folder of others, in any order of writing and deleting", async () => {
        await put(storage, "x", "1");
        await put(storage, "x/y", "2");
        await put(storage, "x/y/z", "3");
        expect(await Promise.all(["x", "x/y", "x/y/z"].map((path) => text(storage, path)))).toEqual(["1", "2", "3"]);

        await put(storage, "x", "4");
        await storage.delete("x/y");
        expect(await Promise.all(["x", "x/y", "x/y/z"].map((path) => text(storage, path)))).toEqual([
          "4",
          undefined,
          "3",
        ]);

        await storage.delete("x/y/z");
        await put(storage, "x", "5");
        expect(await text(storage, "x")).toBe("5");
        await storage.delete("x");
        expect(await paths(storage)).toEqual([]);
        expect(await text(storage, "x")).toBeUndefined();
      });

      it("may be written and deleted side by side while their folders come and go", async () => {
        const names = ["d", "d/e", "d/e/f", "d/e/f/g"];
        const work = async (path: string): Promise<void> => {
          for (let round = 0; round < 15; round += 1) {
            const isRacing = harness.quirks?.["racing-folders"] !== undefined;
            await put(storage, path).catch((error) => (isRacing ? put(storage, path) : Promise.reject(error)));
            expect(await text(storage, path)).toBe(path);
            expect(await storage.delete(path)).toBe(true);
          }
        };

        await Promise.all(names.map(work));

        expect(await paths(storage)).toEqual([]);
      });
    });

    describe("listings", () => {
      it("take a prefix as whole segments and leave out an object of that name", async () => {
        for (const path of ["a/x", "a/y/z", "ab", "b"]) await put(storage, path);
        if (!hidesFolders) await put(storage, "a");

        expect(await paths(storage, { prefix: "a" })).toEqual(["a/x", "a/y/z"]);
        expect(await paths(storage, { prefix: "a/y" })).toEqual(["a/y/z"]);
        expect(await paths(storage, { prefix: "a/y/z" })).toEqual([]);
        expect(await paths(storage, { prefix: "c" })).toEqual([]);
      });

      it("come in pages that together hold everything once", async () => {
        const all = Array.from({ length: 25 }, (_, index) => `p/${String(index).padStart(2, "0")}`);
        for (const path of all) await put(storage, path);

        const seen: string[] = [];
        let after: string | undefined;
        do {
          const page = await list(storage, { prefix: "p", limit: 10, after });
          seen.push(...page.objects.map(({ path }) => path));
          after = page.next;
        } while (after !== undefined);

        expect(seen).toEqual(all);
        expect((await list(storage, { limit: 25 })).next).toBeUndefined();
        expect((await list(storage, { limit: 24 })).next).toBe("p/23");
        expect(await paths(storage, { after: "p/22x" })).toEqual(["p/23", "p/24"]);
      });

      it("leave nothing out and repeat nothing, however small their pages are", async () => {
        await Promise.all(TREE.map((path) => put(storage, path)));

        for (const delimiter of [undefined, "/"] as const) {
          const { paths: objects, prefixes } = pageOf(TREE, { prefix: "dd", after: undefined, limit: 1000, delimiter });
          for (const limit of [1, 2, 3, 5, 10, 39]) {
            const seen: string[] = [];
            let after: string | undefined;
            do {
              const found = await list(storage, { prefix: "dd", limit, delimiter, after });
              seen.push(...found.objects.map(({ path }) => path), ...found.prefixes);
              after = found.next;
            } while (after !== undefined);
            expect([limit, ...seen.sort()]).toEqual([limit, ...[...objects, ...prefixes].sort()]);
          }
        }
      });

      it("begin wherever they are told to", async () => {
        await Promise.all(TREE.map((path) => put(storage, path)));
        const inside = [
          "m/n",
          "m/n/",
          "a",
          "a/",
          "a/5",
          "q/",
          "q/w",
          "q/w/",
          "q/w/z",
          "q/w-1",
          "q/w-2/x",
          "r-5",
          "r/",
          "r/5",
          "r/9",
        ];
        const beyond = ["", "/", "r/5/x", "r/5/x/", "r//x", "r/~/y", `r/${"s".repeat(300)}/x`, "r0", "z2"].map(
          (path) => `dd/${path}`,
        );
        const offsets = [...inside.map((path) => `dd/${path}`), ...beyond, "d", "d/", "dd", "de/x/y", "zz"];

        for (const after of offsets) {
          for (const prefix of ["", "dd", "dd/q/w"]) {
            for (const delimiter of [undefined, "/"] as const) {
              for (const limit of [1, 1000]) {
                const query: ListQuery = { prefix, after, delimiter, limit };
                expect([query, shapeOf(await list(storage, query))]).toEqual([query, pageOf(TREE, query)]);
              }
            }
          }
        }
      });

      it("tell size, time and entity tag as head does", async () => {
        await put(storage, "x", "12345");

        const { size, lastModified, eTag } = (await storage.head("x")) as ObjectInfo;

        expect((await list(storage)).objects).toEqual([
          expect.objectContaining({ path: "x", size, lastModified, eTag }),
        ]);
      });

      it("fold folders at a delimiter, and page over them", async () => {
        const name = hidesFolders ? "Z" : "a"; // both come before the folder
        for (const path of [name, "a/1", "a/2", "a0", "b/c/1", "b/c/2", "b/d"]) await put(storage, path);

        const top = await list(storage, { delimiter: "/" });
        expect(top.prefixes).toEqual(["a/", "b/"]);
        expect(top.objects.map(({ path }) => path)).toEqual([name, "a0"]);
        const below = await list(storage, { prefix: "b", delimiter: "/" });
        expect(below.prefixes).toEqual(["b/c/"]);
        expect(below.objects.map(({ path }) => path)).toEqual(["b/d"]);

        const first = await list(storage, { delimiter: "/", limit: 2 });
        expect([first.objects.map(({ path }) => path), first.prefixes, first.next]).toEqual([[name], ["a/"], "a/"]);
        const second = await list(storage, { delimiter: "/", limit: 2, after: first.next });
        expect([second.objects.map(({ path }) => path), second.prefixes, second.next]).toEqual([
          ["a0"],
          ["b/"],
          undefined,
        ]);
      });
    });

    describe("copy and move", () => {
      it("take bytes and headers along, over what is there", async () => {
        const headers = { contentType: "image/png", cacheControl: "max-age=1", metadata: { k: "v" } };
        await storage.put("from", stream("bytes"), headers);
        await put(storage, "to/there", "old");

        const copied = await storage.copy("from", "to/there");

        expect(copied?.size).toBe(5);
        expect(await storage.head("to/there")).toMatchObject({ size: 5, eTag: copied?.eTag, ...headers });
        expect(await text(storage, "from")).toBe("bytes");
        const moved = await storage.move("from", "moved");
        expect(moved?.size).toBe(5);
        expect(await storage.head("moved")).toMatchObject({ size: 5, eTag: moved?.eTag, ...headers });
        expect(await text(storage, "moved")).toBe("bytes");
        expect(await storage.head("from")).toBeUndefined();
        expect(await paths(storage)).toEqual(["moved", "to/there"]);
      });

      it("do nothing when both paths are the same, and find nothing where nothing is", async () => {
        const { eTag } = await put(storage, "x");

        expect((await storage.copy("x", "x"))?.eTag).toBe(eTag);
        expect((await storage.move("x", "x"))?.eTag).toBe(eTag);
        expect(await storage.copy("absent", "y")).toBeUndefined();
        expect(await storage.move("absent", "x")).toBeUndefined();
        expect(await storage.move("absent", "absent")).toBeUndefined();
        expect(await paths(storage)).toEqual(["x"]);
      });

      it("work between an object and a folder of its name", async () => {
        await put(storage, "x", "1");
        await storage.move("x", "x/y");
        expect(await paths(storage)).toEqual(["x/y"]);
        await storage.move("x/y", "x");
        expect(await paths(storage)).toEqual(["x"]);
        expect(await text(storage, "x")).toBe("1");
      });

      it("end when objects are moved against each other", async () => {
        await put(storage, "a");
        await put(storage, "b");

        await Promise.all(
          Array.from({ length: 20 }, (_, index) => (index % 2 ? storage.move("a", "b") : storage.move("b", "a"))),
        );

        expect((await paths(storage)).length).toBe(1);
      });
    });

    it("deletes many at once and counts those that were there", async () => {
      const all = Array.from({ length: 100 }, (_, index) => `d/${index}`);
      await Promise.all(all.map((path) => put(storage, path)));
      await put(storage, "kept");

      const report = await storage.deleteMany([...all, "absent"]);

      expect(report).toEqual({ deleted: 100, errors: [] });
      expect(await paths(storage)).toEqual(["kept"]);
    });

    it("has the bytes of one of many writers that come at once", async () => {
      const bodies = Array.from({ length: 20 }, (_, index) => String(index).repeat(5000));

      await Promise.all(bodies.map((body) => put(storage, "x", body)));

      expect(bodies).toContain(await text(storage, "x"));
    });

    it("answers a ping, closes twice, and is unavailable after that", async () => {
      await storage.ping();

      await storage.close();
      await storage.close();

      const calls = [
        storage.ping(),
        storage.head("x"),
        read(storage, "x"),
        put(storage, "x"),
        storage.delete("x"),
        list(storage),
      ];
      for (const result of await Promise.allSettled(calls)) {
        expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
      }
    });
  });
}
