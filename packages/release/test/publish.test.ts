/** The tarballs, as publint, attw and a user who unpacks one see them. */

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { publint } from "publint";
import { packAll, tarball } from "./packed.ts";
import { succeed } from "./run.ts";
import { packages, programs, publishable, root } from "./workspace.ts";

/** Programs that are not ESM cannot use these packages: https://github.com/arethetypeswrong/arethetypeswrong.github.io */
const NOT_ESM = ["node10", "node16-cjs"];

const folder = temporaryFolder();
beforeAll(() => packAll(folder.path));
afterAll(() => folder.remove());

it("leaves only the tools of this repository out", () => {
  const unpublished = packages.filter(({ manifest }) => manifest.private).map(({ id }) => id);

  expect(unpublished.sort()).toEqual(["bench", "devkit", "release"]);
  expect(publishable).toHaveLength(10);
});

describe.each(publishable)("$manifest.name", (own) => {
  const read = (): Buffer => readFileSync(tarball(folder.path, own));

  it("says who may use it, where it is from, and which Node it needs", () => {
    const { license, repository, engines, publishConfig, files } = own.manifest;

    expect({ license, publishConfig, files }).toEqual({
      license: "MIT",
      publishConfig: { access: "public", provenance: true },
      files: ["dist"],
    });
    expect(repository).toMatchObject({ directory: own.folder });
    expect(engines).toEqual(publishable.find(({ id }) => id === "core")?.manifest.engines);
  });

  it("holds what is built, a licence and a page, and nothing of its making", async () => {
    const names = (await succeed("tar", ["-tzf", tarball(folder.path, own)])).trim().split("\n");
    const beside = names.filter((name) => !name.startsWith("package/dist/")).sort();
    const odd = names.filter(
      (name) => !/\.(?:js|d\.ts|txt|md|json)$|LICENSE$/.test(name) || /tsbuildinfo|test/.test(name),
    );

    expect(beside).toEqual(["package/LICENSE", "package/README.md", "package/package.json"]);
    expect(odd).toEqual([]);
  });

  it("names released versions of what it needs", async () => {
    const text = await succeed("tar", ["-xzOf", tarball(folder.path, own), "package/package.json"]);
    const { dependencies = {}, peerDependencies = {} } = JSON.parse(text) as typeof own.manifest;

    for (const range of Object.values({ ...dependencies, ...peerDependencies }))
      expect(range).toMatch(/^\^?\d+\.\d+\.\d+$/);
  });

  it("passes publint", async () => {
    const { buffer, byteOffset, byteLength } = read();
    const data = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer; // a file's, so it is not shared
    const { messages } = await publint({ pack: { tarball: data }, strict: true });

    expect(messages).toEqual([]);
  });

  it("has types that attw finds right for ESM", async () => {
    const result = await checkPackage(createPackageFromTarballData(read()));

    expect(result.types).toMatchObject({ kind: "included" });
    const problems = "problems" in result ? result.problems : [];
    expect(
      problems.filter((problem) => !("resolutionKind" in problem && NOT_ESM.includes(problem.resolutionKind))),
    ).toEqual([]);
  });
});

it.each(programs)("$manifest.name has programs that can be run", ({ folder: path, manifest }) => {
  for (const file of Object.values(manifest.bin ?? {})) {
    const program = join(root, path, file);

    expect(readFileSync(program, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(statSync(program).mode & 0o111).toBe(0o111);
  }
});

it("has one licence everywhere", () => {
  const licence = readFileSync(join(root, "LICENSE"), "utf8");

  for (const { folder: path } of publishable) expect(readFileSync(join(root, path, "LICENSE"), "utf8")).toBe(licence);
  expect(licence).toMatch(/^MIT License/);
});
