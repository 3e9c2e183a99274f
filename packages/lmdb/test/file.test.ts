/** What may stand at the path, and what is refused untouched. */

import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { openEnvironment } from "../src/index.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function refusal(path: string): Error & { code?: string } {
  try {
    openEnvironment(path);
  } catch (error) {
    return error as Error; // it throws errors only
  }
  throw new Error(`${path} was opened`);
}

/** A real file of ours, for parts of it. */
async function lmdbBytes(): Promise<Buffer> {
  const environment = openEnvironment(`${folder.path}/real.lmdb`);
  await environment.commit((draft) => draft.put(environment.table("t"), Buffer.from("a"), Buffer.from("1")));
  await environment.close();
  return readFileSync(`${folder.path}/real.lmdb`);
}

const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);

describe("a file of another kind", () => {
  it.each<[string, (real: Buffer) => Buffer]>([
    ["a redb file", () => Buffer.concat([Buffer.from("redb\x1a\n\xa9\r\n", "latin1"), Buffer.alloc(100_000, 7)])],
    ["a SQLite file", () => Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(8192)])],
    ["text", () => Buffer.from("important notes\n")],
    ["one byte", () => Buffer.from("x")],
    ["zeros", () => Buffer.alloc(16_384)],
    ["the magic number alone", () => MAGIC],
    ["the magic number at another place", () => Buffer.concat([Buffer.alloc(16), MAGIC, Buffer.alloc(9000, 7)])],
    ["the magic number and then nonsense", () => Buffer.concat([Buffer.alloc(24), MAGIC, Buffer.alloc(9000, 7)])],
    ["the first bytes of an LMDB file", (real) => real.subarray(0, 60)],
    ["the first page of an LMDB file", (real) => real.subarray(0, 4096)],
    [
      "an LMDB file of another version",
      (real) => Buffer.concat([real.subarray(0, 28), Buffer.from([9]), real.subarray(29)]),
    ],
  ])("%s is refused with an explanation and stays as it is", async (_name, make) => {
    const bytes = make(await lmdbBytes());
    const path = `${folder.path}/other.lmdb`;
    writeFileSync(path, bytes);
    const before = readdirSync(folder.path);

    const { code, message } = refusal(path);

    expect(code).toBe("CONFIG_ERROR");
    expect(message).toContain(`"${path}" is no LMDB file`);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it("is not the empty file that a first start left behind", async () => {
    writeFileSync(`${folder.path}/empty.lmdb`, "");

    const environment = openEnvironment(`${folder.path}/empty.lmdb`);

    expect(await environment.commit(() => "works")).toBe("works");
    await environment.close();
  });
});

describe("a path", () => {
  it("that is a folder is refused", () => {
    mkdirSync(`${folder.path}/x.lmdb`);

    expect(refusal(`${folder.path}/x.lmdb`)).toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringContaining("is a folder"),
    });
    expect(readdirSync(folder.path)).toEqual(["x.lmdb"]);
  });

  it("whose lock file is a folder is refused", () => {
    mkdirSync(`${folder.path}/x.lmdb-lock`);

    expect(refusal(`${folder.path}/x.lmdb`)).toMatchObject({ code: "CONFIG_ERROR" });
  });

  it.each(["x.lmdb", "deep/er/x.lmdb"])("below a regular file is refused: %s", (rest) => {
    writeFileSync(`${folder.path}/file`, "mine");

    expect(refusal(`${folder.path}/file/${rest}`)).toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringMatching(/file" is a file; choose a folder/),
    });
    expect(readFileSync(`${folder.path}/file`, "utf8")).toBe("mine");
  });

  it.each(["/proc/x", "/proc/x/y.lmdb", "/proc/x/y/z.lmdb"])("that the system refuses is refused: %s", (path) => {
    expect(refusal(path)).toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringMatching(/cannot be (?:used|opened)/),
    });
  });

  it("below a symbolic link to nothing is refused", () => {
    symlinkSync(`${folder.path}/gone/folder`, `${folder.path}/link`);

    expect(refusal(`${folder.path}/link/x.lmdb`)).toMatchObject({ code: "CONFIG_ERROR" });
  });

  it("in a folder where this user may not write is refused", () => {
    const closed = process.getuid?.() === 0 ? "/proc/self" : `${folder.path}/closed`; // root may write where modes forbid
    if (!existsSync(closed)) mkdirSync(closed, 0o500);

    expect(refusal(`${closed}/x.lmdb`)).toMatchObject({ code: "CONFIG_ERROR" });

    expect(readdirSync(closed)).not.toContain("x.lmdb");
  });

  it("may have folders that are not there yet, spaces and other letters", async () => {
    const path = `${folder.path}/a b/ü/😀.lmdb`;

    const environment = openEnvironment(path);
    await environment.commit((draft) => draft.put(environment.table("t"), Buffer.from("a"), Buffer.from("1")));
    await environment.close();

    expect(readFileSync(path).length).toBeGreaterThan(0);
  });
});
