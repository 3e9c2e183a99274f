/** Which Node is needed is said once, and to those who have another. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { npmPackage } from "@mikcar/devkit/npm";
import { run } from "./run.ts";
import { isLong, programs, publishable, readManifest, root } from "./workspace.ts";

/** The last of a line that many still have; and, when there is time, the oldest that the check itself is written for. */
const OLD = isLong ? ["16.20.2", "20.20.2"] : ["20.20.2"];

const needed = publishable.find(({ id }) => id === "core")?.manifest.engines?.node?.replace(">=", "") ?? "";

/** The Node of a version: npm has its binaries, each as a package. */
async function node(version: string): Promise<string> {
  const name = `node-${process.platform === "darwin" ? "bin-darwin" : "linux"}-${process.arch}`;
  return join(await npmPackage(name, version), "node_modules", name, "bin/node");
}

describe.each(OLD)("with Node %s", (version) => {
  let old: string;
  beforeAll(async () => {
    old = await node(version);
  }, 120_000);

  it.each(programs)("the program of $manifest.name says which one it needs, and ends", async ({ folder, manifest }) => {
    const [file = ""] = Object.values(manifest.bin ?? {});

    const ending = await run(old, [join(root, folder, file), "--version"]);

    const sentence = `mikcar needs Node ${needed} or newer, and this is ${version} (${old}): install a newer one, `;
    expect(ending).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining(sentence) });
    expect(ending.stderr.trim().split("\n")).toHaveLength(1);
  });
});

it("is content with the one that runs, and with the oldest that it asks for", async () => {
  const oldest = isLong ? await node(`${needed}.0`) : process.execPath;

  for (const { folder, manifest } of programs) {
    const [file = ""] = Object.values(manifest.bin ?? {});

    expect(await run(oldest, [join(root, folder, file), "--version"])).toMatchObject({
      code: 0,
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
  }
}, 120_000);

it("is the same on every page and in the images", () => {
  const { optionalDependencies = {} } = readManifest(root) as { optionalDependencies?: Record<string, string> };
  const [ours = ""] = Object.values(optionalDependencies);

  expect(new Set(Object.values(optionalDependencies)).size).toBe(1);
  expect(readFileSync(join(root, "docker/Dockerfile"), "utf8")).toContain(`ARG NODE=${ours}\n`);
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(`Node ${needed}`);
});
