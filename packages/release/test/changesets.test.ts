/** What `changeset version` makes of a change, tried on a copy of what it reads. */

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { succeed } from "./run.ts";
import { packages, publishable, readManifest, root } from "./workspace.ts";

let copy: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  copy = temporaryFolder();
  const manifests = packages.map(({ folder }) => join(folder, "package.json"));
  for (const file of ["package.json", "pnpm-workspace.yaml", ".changeset/config.json", ...manifests]) {
    mkdirSync(dirname(join(copy.path, file)), { recursive: true });
    cpSync(join(root, file), join(copy.path, file));
  }
});
afterEach(() => copy.remove());

function change(name: string, text: string): void {
  writeFileSync(join(copy.path, ".changeset", `${name}.md`), text);
}

async function version(): Promise<Readonly<Record<string, string>>> {
  const git = (...args: string[]): Promise<string> =>
    succeed("git", ["-c", "user.name=test", "-c", "user.email=test@example.org", ...args], { cwd: copy.path });
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message=before");
  await succeed(join(root, "node_modules/.bin/changeset"), ["version"], { cwd: copy.path });
  const all = packages.map(({ id, folder }) => [id, readManifest(join(copy.path, folder)).version]);
  return Object.fromEntries(all) as Record<string, string>;
}

function changelog(folder: string): string {
  return readFileSync(join(copy.path, folder, "CHANGELOG.md"), "utf8");
}

/** As if all had been released: below 1.0 a minor version is out of the range that others ask for. */
function setVersions(to: string): void {
  for (const { folder } of publishable) {
    const file = join(copy.path, folder, "package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[^"]*"/, `"version": "${to}"`));
  }
}

it("gives the core a minor version, and those that need it a patch with the reason", async () => {
  setVersions("0.4.2");
  change("sample", '---\n"@mikcar/core": minor\n---\n\nA new way to say hello.\n');

  const versions = await version();

  const others = publishable.filter(({ id }) => id !== "core").map(({ id }) => [id, "0.4.3"]);
  const untouched = packages.filter(({ manifest }) => manifest.private).map(({ id }) => [id, "0.0.0"]);
  expect(versions).toEqual(Object.fromEntries([["core", "0.5.0"], ...others, ...untouched]));
  expect(changelog("packages/core")).toMatch(/## 0\.5\.0\n\n### Minor Changes\n\n- .*A new way to say hello\./);
  expect(changelog("packages/kv")).toMatch(/## 0\.4\.3\n\n### Patch Changes\n\n- .*\n? +- @mikcar\/core@0\.5\.0/);
  expect(
    packages
      .filter(({ manifest }) => manifest.private)
      .filter(({ folder }) => existsSync(join(copy.path, folder, "CHANGELOG.md"))),
  ).toEqual([]);
  expect(readManifest(join(copy.path, "packages/kv")).dependencies?.["@mikcar/core"]).toBe("workspace:^");
});

it("leaves packages alone that need nothing of what has changed", async () => {
  setVersions("0.4.2");
  change("sample", '---\n"@mikcar/email": patch\n---\n\nA letter is sent once.\n');

  const { email, supercar, kv, core } = await version();

  expect({ email, kv, core }).toEqual({ email: "0.4.3", kv: "0.4.2", core: "0.4.2" });
  expect(supercar).toBe("0.4.2"); // it asks for ^0.4.2, which has it
});

it("makes a release of the changes that wait, with a changelog for each package", async () => {
  for (const file of readdirSync(join(root, ".changeset")))
    cpSync(join(root, ".changeset", file), join(copy.path, ".changeset", file));
  const waiting = readdirSync(join(root, ".changeset")).filter((file) => file.endsWith(".md"));

  const versions = await version();

  for (const { id, folder, manifest } of publishable) {
    const isChanged = versions[id] !== manifest.version;
    expect([id, isChanged, existsSync(join(copy.path, folder, "CHANGELOG.md"))]).toEqual([
      id,
      waiting.length > 0,
      waiting.length > 0,
    ]);
    expect(versions[id]).toMatch(/^0\./); // 1.0 is a decision of people, not of a range that no longer fits
  }
});
