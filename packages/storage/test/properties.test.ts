import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import fc from "fast-check";
import type { StorageBackend } from "../src/backend.ts";
import { open as openFile } from "../src/backends/file/index.ts";
import { Names } from "../src/backends/file/names.ts";
import { open as openMemory } from "../src/backends/memory.ts";
import { pathFault } from "../src/path.ts";
import { parseRange, resolveRange } from "../src/range.ts";
import { list, put, stream, text } from "./contract.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 20 : 1;

const character = fc.oneof(
  fc.constantFrom(..."ab%/.+?#~ é😀\\\u0000\u007f\ud800", "e\u0301", "%object", "%+", "..", "%2E"),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
);
const anyPath = fc.oneof(
  fc.array(character, { maxLength: 12 }).map((parts) => parts.join("")),
  fc.tuple(character, fc.integer({ min: 100, max: 600 })).map(([part, times]) => part.repeat(times)),
  fc.constantFrom("../x", "a/../../x", "/etc/passwd", ".mikcar/tmp/x", ".mikcar", "%2e%2e/x", "a/./b", "x%object"),
);

/** The rule of the contract, said once more and otherwise. */
function isPath(text: string): boolean {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > 1024 || bytes.toString() !== text) return false;
  if ([...text].some((one) => one === "\\" || one < " " || (one >= "\u007f" && one <= "\u009f"))) return false;
  return !text.split("/").some((segment) => ["", ".", ".."].includes(segment));
}

describe("object paths", () => {
  it("are accepted exactly as the contract says", () => {
    fc.assert(
      fc.property(anyPath, (path) => expect(pathFault(path) === undefined).toBe(isPath(path))),
      { numRuns: 1000 * RUNS },
    );
  });

  it("become file names and back, whether the file system folds cases or not", () => {
    fc.assert(
      fc.property(anyPath.filter(isPath), fc.boolean(), (path, isFolding) => {
        const names = new Names(isFolding).encode(path);
        expect(new Names(isFolding).decode(names)).toBe(path);
        for (const name of names) {
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(248);
          expect(["", ".", ".."]).not.toContain(name);
        }
        expect(names[0]).not.toBe(".mikcar");
      }),
      { numRuns: 1000 * RUNS },
    );
  });

  it("are stored, read and listed as they were given, and nothing appears outside the folder", async () => {
    const property = fc.asyncProperty(fc.uniqueArray(anyPath.filter(isPath), { maxLength: 8 }), async (paths) => {
      const folder = temporaryFolder();
      const storage = await openFile(configUrl(fileUrl(join(folder.path, "root"))));
      try {
        for (const path of paths) await put(storage, path);
        for (const path of paths) expect(await text(storage, path)).toBe(path);
        const listed = (await list(storage)).objects.map(({ path }) => path);
        expect(listed).toEqual(paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
        expect(readdirSync(folder.path)).toEqual(["root"]);
        expect(readdirSync(dirname(folder.path))).not.toContain("x");
      } finally {
        await storage.close();
        folder.remove();
      }
    });
    await fc.assert(property, { numRuns: 40 * RUNS });
  });
});

describe("ranges", () => {
  const number = fc.oneof(fc.nat(12), fc.constantFrom(2 ** 31, 2 ** 53, 1e20)).map((value) => BigInt(value).toString());
  const header = fc.oneof(
    fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`),
    number.map((first) => `bytes=${first}-`),
    number.map((suffix) => `bytes=-${suffix}`),
    fc.tuple(number, number).map(([a, b]) => `bytes=${a}-,${b}-`),
    fc.constantFrom(
      "bytes=-",
      "bytes",
      "items=0-1",
      "bytes=a-b",
      "bytes=1",
      "bytes=1-2-3",
      "bytes=+1-2",
      "bytes= 1-2 ",
      "BYTES=1-2",
    ),
    fc.string(),
  );

  /** Byte by byte: the positions that a single valid range names. */
  function reference(text: string, size: number): number[] | undefined {
    const shape = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(text);
    if (shape === null || /[^\t\x20-\x7e]/.test(text)) return undefined;
    const [, first = "", last = ""] = shape;
    if (first === "" && last === "") return undefined;
    if (first !== "" && last !== "" && Number(first) > Number(last)) return undefined;
    return Array.from({ length: size }, (_, at) => at).filter((at) =>
      first === "" ? size - at <= Number(last) : at >= Number(first) && (last === "" || at <= Number(last)),
    );
  }

  it("select the bytes that a plain reading of RFC 9110 selects", () => {
    fc.assert(
      fc.property(header, fc.nat(10), (text, size) => {
        const spec = parseRange(text);
        const expected = reference(text, size);
        expect(spec === undefined).toBe(expected === undefined);
        if (spec === undefined || expected === undefined) return;
        const slice = resolveRange(spec, size);
        const selected =
          slice === undefined ? [] : Array.from({ length: slice.end - slice.start }, (_, at) => slice.start + at);
        expect(selected).toEqual(expected);
      }),
      { numRuns: 2000 * RUNS },
    );
  });
});

describe("memory and file", () => {
  const path = fc.constantFrom("a", "a/b", "a/b/c", "b", "b/😀", "b/\uffee", "%", "c".repeat(300));
  const operation = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("put" as const), path, body: fc.string(), type: fc.string() }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), path }) },
    fc.record({ kind: fc.constantFrom("copy" as const, "move" as const), path, to: path }),
    fc.record({ kind: fc.constant("create" as const), path, body: fc.string() }),
  );
  type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

  async function apply(storage: StorageBackend, op: Operation): Promise<unknown> {
    if (op.kind === "delete") return storage.delete(op.path);
    if ("to" in op) return (await storage[op.kind](op.path, op.to))?.size;
    const headers = { contentType: op.kind === "put" ? op.type : "x/y", metadata: {} };
    const conditions = op.kind === "create" ? { ifNoneMatch: "*" as const } : undefined;
    return storage.put(op.path, stream(op.body), headers, conditions).then(
      ({ size }) => size,
      ({ code }: { code: string }) => code,
    );
  }

  async function state(storage: StorageBackend): Promise<unknown> {
    const { objects } = await list(storage);
    return Promise.all(
      objects.map(async ({ path }) => [path, await text(storage, path), (await storage.head(path))?.contentType]),
    );
  }

  it("are in the same state after any sequence of operations", async () => {
    const property = fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
      const folder = temporaryFolder();
      const both = [await openMemory(configUrl("memory:")), await openFile(configUrl(fileUrl(folder.path)))] as const;
      try {
        for (const op of operations) expect(await apply(both[1], op)).toEqual(await apply(both[0], op));
        expect(await state(both[1])).toEqual(await state(both[0]));
        const folded = await Promise.all(both.map((storage) => list(storage, { delimiter: "/" })));
        expect(folded[1]?.prefixes).toEqual(folded[0]?.prefixes);
      } finally {
        await Promise.all(both.map((storage) => storage.close()));
        folder.remove();
      }
    });
    await fc.assert(property, { numRuns: 30 * RUNS });
  });
});
