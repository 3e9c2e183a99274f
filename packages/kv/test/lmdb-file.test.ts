/** What is true of LMDB alone: the file, its parameters, several openings of it. */

import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { KvBackend } from "../src/backend.ts";
import { open } from "../src/backends/lmdb/index.ts";
import { glob } from "../src/glob.ts";
import { KvService } from "../src/service.ts";
import { fill, increment, list, set, text } from "./calls.ts";
import { setClock, START, stopClock } from "./clock.ts";

let folder: ReturnType<typeof temporaryFolder>;
let url: string;
const opened: KvBackend[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  url = fileUrl(`${folder.path}/kv.lmdb`);
});
afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(opened.splice(0).map((kv) => kv.close()));
  folder.remove();
});

async function openKv(text = url): Promise<KvBackend> {
  const kv = await open(configUrl(text));
  opened.push(kv);
  return kv;
}

it("finds values and expiries again after it was closed and opened", async () => {
  stopClock();
  const before = await openKv();
  await set(before, "kept", Buffer.from([0, 255]));
  await set(before, "short", "1", 10);
  await set(before, "long", "1", 100);
  await before.close();
  await setClock(10_000);

  const after = await openKv();

  expect(await after.get("kept")).toEqual(Buffer.from([0, 255]));
  expect(await after.expiresAt("kept")).toBe(Infinity);
  expect(await after.get("short")).toBeUndefined();
  expect(await after.expiresAt("long")).toBe(START + 100_000);
  expect(await list(after)).toEqual(["kept", "long"]);
});

it("gives out cursors that hold after it was closed and opened", async () => {
  const before = await openKv();
  await fill(before, ["a", "b", "c"]);
  const { cursor } = await before.pageKeys(glob("*"), 1, undefined);
  await before.close();

  const after = await openKv();

  expect((await after.pageKeys(glob("*"), 5, cursor)).keys).toEqual(["b", "c"]);
});

it.each(["sync=false", "sync=true", "sync", "sync=0"])("accepts ?%s", async (query) => {
  const kv = await openKv(`${url}?${query}`);
  await set(kv, "a", "1");
  await kv.close();

  expect(await text(await openKv(), "a")).toBe("1");
});

it.each(["sinc=false", "sync=perhaps"])("refuses ?%s and makes no file", async (query) => {
  await expect(open(configUrl(`${url}?${query}`))).rejects.toMatchObject({ code: "CONFIG_ERROR" });

  await expect(async () => readFileSync(`${folder.path}/kv.lmdb`)).rejects.toThrow("ENOENT");
});

it("refuses a URL without a path", async () => {
  await expect(open(configUrl("lmdb://"))).rejects.toMatchObject({ code: "CONFIG_ERROR" });
});

it.each(["lmdb", "redb", "file"])("is opened by the scheme %s", async (scheme) => {
  const sidecar = await KvService.fromUrl(`${scheme}://${folder.path}/kv.lmdb`);

  await expect(sidecar.ping()).resolves.toBeUndefined();
  await sidecar.close();
});

it("explains a file of another kind, names the variable, and leaves the file as it is", async () => {
  const bytes = Buffer.concat([Buffer.from("redb\x1a\n\xa9\r\n", "latin1"), Buffer.alloc(8192, 7)]);
  writeFileSync(`${folder.path}/kv.lmdb`, bytes);

  const opening = KvService.fromUrl(`redb://${folder.path}/kv.lmdb`);

  await expect(opening).rejects.toMatchObject({
    code: "CONFIG_ERROR",
    message: expect.stringMatching(/^KV_URL: .*no LMDB file/),
  });
  expect(readFileSync(`${folder.path}/kv.lmdb`).equals(bytes)).toBe(true);
});

it("shows through one opening what was written through another", async () => {
  const [one, other] = [await openKv(), await openKv()];

  await Promise.all([
    ...Array.from({ length: 20 }, () => increment(one, "n")),
    ...Array.from({ length: 20 }, () => increment(other, "n")),
  ]);

  expect(await text(one, "n")).toBe("40");
  expect(await text(other, "n")).toBe("40");
});

it("uses a path with characters that mean something in a URL", async () => {
  const kv = await openKv(fileUrl(`${folder.path}/50% #1? ü/kv.lmdb`));
  await set(kv, "a", "1");

  expect(readFileSync(`${folder.path}/50% #1? ü/kv.lmdb`).length).toBeGreaterThan(0);
});
