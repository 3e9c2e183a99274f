/** The workflows, as far as they can be held against the repository: what they call is there. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { readStages } from "./dockerfile.ts";
import { programs, readManifest, root } from "./workspace.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

interface Job {
  readonly needs?: string | readonly string[];
  readonly "runs-on": string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly string[]>> };
  readonly outputs?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: unknown;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = join(root, ".github/workflows");
const files = readdirSync(folder);
const { scripts = {} } = readManifest(root);

/** Strict: a key twice, or a mistake in the form, is an error. What is in there is looked at by the tests. */
function read(file: string): Workflow {
  return parse(readFileSync(join(folder, file), "utf8"), { strict: true, uniqueKeys: true }) as Workflow;
}

function stepsOf(jobs: readonly (Job | undefined)[]): readonly Step[] {
  return jobs.flatMap((job) => job?.steps ?? []);
}

/** The step of an action, whatever its version. */
function using(job: Job | undefined, action: string): Step | undefined {
  return job?.steps.find(({ uses }) => uses?.startsWith(`${action}@`));
}

it("are two: what every change passes, and what a release does", () => {
  expect(files.sort()).toEqual(["ci.yml", "release.yml"]);
});

describe.each(files)("%s", (file) => {
  const { on, permissions, jobs } = read(file);
  const all = Object.values(jobs);

  it("may read, and no more where a job does not say so", () => {
    expect(on).toMatchObject({ push: { branches: ["main"] } });
    expect(permissions).toEqual({ contents: "read" });
  });

  it("takes actions by their major version", () => {
    for (const { uses } of stepsOf(all)) if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
  });

  it("calls scripts that are there", () => {
    const commands = stepsOf(all).flatMap((step) => [step.run, step.with?.["version"], step.with?.["publish"]]);
    const lines = commands.filter((line): line is string => typeof line === "string");
    const names = lines.flatMap((line) => [...line.matchAll(/npm run ([\w:]+)/g)].map(([, name = ""]) => name));
    const programsCalled = lines.flatMap((line) =>
      [...line.matchAll(/(?:^|\s)(\.[\w/-]+)/g)].map(([, path = ""]) => path),
    );

    for (const name of names) expect(Object.keys(scripts)).toContain(name);
    for (const path of programsCalled) expect(statSync(join(root, path)).mode & 0o111).not.toBe(0);
  });

  it("waits for jobs that are there, and uses what they give", () => {
    const names = Object.keys(jobs);
    for (const { needs = [] } of all) for (const name of [needs].flat()) expect(names).toContain(name);
    const text = readFileSync(join(folder, file), "utf8");
    for (const [, job = "", output = ""] of text.matchAll(/needs\.(\w+)\.outputs\.(\w+)/g))
      expect(Object.keys(jobs[job]?.outputs ?? {})).toContain(output);
  });

  it("runs the same tests as anybody", () => {
    expect(jobs["test"]?.steps.map(({ run }) => run).join("\n")).toMatch(/(?:^|\s)\.ci\/run\s*$/);
    expect(existsSync(join(root, ".ci/run"))).toBe(true);
  });
});

describe("a release", () => {
  const { jobs } = read("release.yml");

  it("publishes only what is tested, and images only of what is published", () => {
    expect(jobs["packages"]?.needs).toBe("test");
    expect(jobs["images"]).toMatchObject({ needs: "packages", if: "needs.packages.outputs.published == 'true'" });
  });

  it("signs where the packages come from", () => {
    const step = using(jobs["packages"], "changesets/action");

    expect(jobs["packages"]?.permissions).toMatchObject({
      "id-token": "write",
      contents: "write",
      "pull-requests": "write",
    });
    expect(step?.env).toMatchObject({ NPM_CONFIG_PROVENANCE: "true" });
    expect(scripts["release:version"]).toBe("changeset version");
    expect(scripts["release:publish"]).toMatch(/build.*&& changeset publish$/);
  });

  it("builds an image of every program, for both processors", () => {
    const settings = using(jobs["images"], "docker/build-push-action")?.with ?? {};
    const given = String(settings["build-args"])
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    const known = readStages()
      .flatMap(({ steps }) => steps)
      .flatMap(([name, args]) => (name === "ARG" ? [args.split("=")[0]] : []));

    expect(jobs["images"]?.strategy?.matrix["target"]).toEqual(programs.map(({ id }) => id).sort());
    expect(settings).toMatchObject({ context: ".", platforms: "linux/amd64,linux/arm64", push: true });
    expect(existsSync(join(root, String(settings["file"])))).toBe(true);
    for (const name of given) expect(known).toContain(name);
  });
});
