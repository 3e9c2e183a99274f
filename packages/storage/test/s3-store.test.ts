/** The store over a bucket in memory: what a real server does not do on demand, and all offsets that there are. */

import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { unavailable } from "@mikcar/core";
import type { ListedObject, ListQuery } from "../src/backend.ts";
import type { Bucket, Outcome } from "../src/backends/s3/bucket.ts";
import { Place } from "../src/backends/cloud/place.ts";
import { listPage } from "../src/backends/s3/listing.ts";
import { S3Store } from "../src/backends/s3/store.ts";
import { byteString, page } from "../src/listing.ts";
import { pathFault } from "../src/path.ts";
import { broken, PLAIN, stream } from "./contract.ts";

const RUNS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50_000 : 2000;
const MIB = 1024 * 1024;
const TIME = new Date(0);

type Calls = string[];

/** A bucket of these keys, which has nothing in them. @param parts What it does instead. */
function bucketOf(keys: readonly string[], parts: Partial<Bucket> = {}, calls: Calls = []): Bucket {
  const sorted = keys.toSorted(bytewise);
  const found = { size: 1, lastModified: TIME, eTag: "t", contentType: "x/y", metadata: {} };
  const said = <T>(call: string, value: T): Promise<T> => {
    calls.push(call);
    return Promise.resolve(value);
  };
  const written: Outcome = { eTag: "w" };
  return {
    beginsAnywhere: true,
    head: (key) => Promise.resolve(sorted.includes(key) ? found : undefined),
    open: () => Promise.resolve("absent"),
    write: (_key, bytes) => said(`write ${bytes.length}`, written),
    begin: () => said("begin", "id"),
    writePart: (_key, _upload, number, bytes) => said(`part ${number} ${bytes.length}`, `t${number}`),
    copyPart: (_key, _upload, number, { first, last }) => said(`copy part ${number} ${first}-${last}`, `t${number}`),
    finish: (_key, _upload, tags) => said(`finish ${tags.join()}`, written),
    abort: () => said("abort", undefined),
    copy: () => said("copy", written),
    remove: (key, eTag) => said(`remove ${key} ${eTag}`, true),
    removeMany: (batch) => said(`remove ${batch.length}`, new Map<string, Error>()),
    list: ({ prefix, start, token, delimiter, limit }) => {
      const entries = new Set<string>();
      for (const key of sorted) {
        if (!key.startsWith(prefix) || bytewise(key, token ?? start) <= 0) continue;
        if (token?.endsWith("/") === true && delimiter !== undefined && key.startsWith(token)) continue;
        const slash = delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
        entries.add(slash === -1 ? key : key.slice(0, slash + 1));
      }
      const listed = [...entries].slice(0, limit);
      const isFolder = (key: string): boolean => delimiter !== undefined && key.endsWith("/");
      calls.push(`list ${limit}`);
      return Promise.resolve({
        objects: listed.filter((key) => !isFolder(key)).map((key) => ({ key, size: 1, lastModified: TIME, eTag: "t" })),
        prefixes: listed.filter(isFolder),
        next: entries.size > limit ? listed.at(-1) : undefined,
      });
    },
    presign: () => Promise.resolve("https://example.com"),
    translate: (error) => error as Error,
    close: () => undefined,
    ...parts,
  };
}

function storeOf(bucket: Bucket, copyBytes?: number): S3Store {
  return new S3Store(bucket, { place: new Place(""), ...(copyBytes === undefined ? {} : { copyBytes }) });
}

async function* mebibytes(count: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < count; sent += 1) yield Buffer.alloc(MIB);
}

describe("a listing", () => {
  const segment = fc.string({
    unit: fc.constantFrom("a", "b", "!", "-", ".", "0", "é", "😀"),
    minLength: 1,
    maxLength: 3,
  });
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const paths = fc.uniqueArray(
    path.filter((each) => pathFault(each) === undefined),
    { maxLength: 30 },
  );
  const offset = fc.oneof(
    path,
    path.map((each) => `${each}/`),
    fc.string({
      unit: fc.constantFrom("a", "b", "/", ".", "-", "0", "\u0000", "\u0085", "[", "~", "\\", "é", "😀", "\ud800"),
      maxLength: 8,
    }),
  );

  it("is that of the other backends, whatever there is and wherever it begins", async () => {
    await fc.assert(
      fc.asyncProperty(
        paths,
        fc.option(path, { nil: "" }),
        fc.option(offset, { nil: undefined }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom("/" as const, undefined),
        fc.constantFrom("", "base/"),
        fc.boolean(),
        async (all, prefix, after, limit, delimiter, base, beginsAnywhere) => {
          const query: ListQuery = { prefix, after, limit, delimiter };
          const bucket = bucketOf(
            [...all.map((each) => base + each), "bas", "base0"].filter((key) => base !== "" || !key.startsWith("bas")),
            { beginsAnywhere },
          );

          expect(await listPage(bucket, new Place(base), query)).toEqual(pageOf(all, query));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("may be of more pages than one, and leaves out what is no path", async () => {
    const all = Array.from({ length: 2500 }, (_, index) => `p/${String(index).padStart(4, "0")}`);
    const calls: Calls = [];
    const store = storeOf(bucketOf([...all, "p/", "p/marker/", "//", "p\\q"], {}, calls));

    const { objects, next } = await store.list({ prefix: "p", after: "p/0099", limit: 2100, delimiter: undefined });

    expect(objects.map(({ path: each }) => each)).toEqual(all.slice(100, 2200));
    expect(next).toBe("p/2199");
    expect(calls).toEqual(["list 1000", "list 1000", "list 100"]);
  });
});

describe("a body", () => {
  it.each<[number, string[]]>([
    [0, ["write 0"]],
    [8, [`write ${8 * MIB}`]],
    [9, ["begin", `part 1 ${8 * MIB}`, `part 2 ${MIB}`, "finish t1,t2"]],
    [16, ["begin", `part 1 ${8 * MIB}`, `part 2 ${8 * MIB}`, "finish t1,t2"]],
  ])("of %i MiB is sent with as few requests as can be", async (size, expected) => {
    const calls: Calls = [];

    await storeOf(bucketOf([], {}, calls)).put("x", mebibytes(size), PLAIN);

    expect(calls).toEqual(expected);
  });

  it("is never held by more than two parts on their way, and none of them is aborted before it has arrived", async () => {
    const calls: Calls = [];
    let underWay = 0;
    let most = 0;
    const writePart = async (): Promise<string> => {
      most = Math.max(most, (underWay += 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay -= 1;
      calls.push("arrived");
      return "t";
    };
    async function* breaking(): AsyncGenerator<Buffer> {
      yield* mebibytes(34);
      yield* broken();
    }

    const putting = storeOf(bucketOf([], { writePart }, calls)).put("x", breaking(), PLAIN);

    await expect(putting).rejects.toThrow("the client went away");
    expect(most).toBe(2);
    expect(calls).toEqual(["begin", "arrived", "arrived", "arrived", "arrived", "abort"]);
  });

  it.each(["begin", "writePart", "finish"] as const)(
    "is no longer read, and leaves nothing, when %s fails",
    async (step) => {
      const calls: Calls = [];
      let isEnded = false;
      async function* watched(): AsyncGenerator<Buffer> {
        try {
          yield* mebibytes(100);
        } finally {
          isEnded = true;
        }
      }
      const fail = (): Promise<never> => Promise.reject(unavailable("not now"));

      await expect(storeOf(bucketOf([], { [step]: fail }, calls)).put("x", watched(), PLAIN)).rejects.toMatchObject({
        code: "UNAVAILABLE",
      });

      expect(isEnded).toBe(true);
      expect(calls.at(-1)).toBe(step === "begin" ? undefined : "abort");
    },
  );

  it("is sent again when another write was under way, and at last refused", async () => {
    const outcomes: Outcome[] = ["busy", "busy", { eTag: "w" }];
    const write = (): Promise<Outcome> => Promise.resolve(outcomes.shift() ?? "busy");
    const store = storeOf(bucketOf([], { write }));

    expect(await store.put("x", stream("x"), PLAIN, { ifNoneMatch: "*" })).toEqual({ size: 1, eTag: "w" });
    await expect(store.put("x", stream("x"), PLAIN, { ifNoneMatch: "*" })).rejects.toMatchObject({ code: "CONFLICT" });
  });
});

describe("many objects", () => {
  it("are deleted a thousand in one call, and those that are left are named", async () => {
    const keys = Array.from({ length: 1500 }, (_, index) => `k${index}`);
    const calls: Calls = [];
    const removeMany = (batch: readonly string[]): Promise<ReadonlyMap<string, Error>> => {
      calls.push(`remove ${batch.length}`);
      return batch.includes("k1400")
        ? Promise.reject(unavailable("away"))
        : Promise.resolve(new Map([["k3", unavailable("no")]]));
    };

    const { deleted, errors } = await storeOf(bucketOf(keys, { removeMany })).deleteMany([...keys, "absent"]);

    expect(calls).toEqual(["remove 1000", "remove 500"]);
    expect(deleted).toBe(999);
    expect(errors).toHaveLength(501);
    expect(errors[0]).toEqual({ path: "k3", error: expect.objectContaining({ code: "UNAVAILABLE" }) });
  });
});

describe("a copy", () => {
  it("of a large object is made in parts, of the version that was looked at", async () => {
    const calls: Calls = [];
    const found = { size: 25, lastModified: TIME, eTag: "t", contentType: "x/y", metadata: {} };
    const head = (key: string): Promise<typeof found | undefined> => Promise.resolve(key === "a" ? found : undefined);

    const written = await storeOf(bucketOf([], { head }, calls), 10).copy("a", "b");

    expect(written).toEqual({ size: 25, eTag: "w" });
    const parts = ["copy part 1 0-9", "copy part 2 10-19", "copy part 3 20-24"];
    expect(calls).toEqual(["begin", ...parts, "finish t1,t2,t3"]);
  });

  it("begins anew when the object changes meanwhile, and gives up in the end", async () => {
    const outcomes: Outcome[] = ["refused", { eTag: "w" }];
    const store = storeOf(bucketOf(["a"], { copy: () => Promise.resolve(outcomes.shift() ?? "refused") }));

    expect(await store.copy("a", "b")).toEqual({ size: 1, eTag: "w" });
    await expect(store.copy("a", "b")).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("that moves deletes the version that it has copied", async () => {
    const calls: Calls = [];

    await storeOf(bucketOf(["a"], {}, calls)).move("a", "b");

    expect(calls).toEqual(["copy", "remove a t"]);
  });
});

function pageOf(all: readonly string[], query: ListQuery): ReturnType<typeof page> {
  const objects = all
    .map((path): readonly [string, ListedObject] => [
      byteString(path),
      { path, size: 1, lastModified: TIME, eTag: "t" },
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return page((start) => objects.filter(([key]) => key >= start), query);
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
