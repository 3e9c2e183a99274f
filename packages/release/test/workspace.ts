/** The packages of this repository, as their package.json files tell. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly license?: string;
  readonly repository?: { readonly directory?: string };
  readonly engines?: { readonly node?: string };
  readonly publishConfig?: { readonly access?: string; readonly provenance?: boolean };
  readonly files?: readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface Package {
  /** The last part of its name: `kv`. */
  readonly id: string;
  /** Below the root: `packages/kv`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** The root folder, without a `/` at its end. */
export const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest; // npm has accepted it
}

/** All of them, but not the root. */
export const packages: readonly Package[] = ["packages", "apps", "bench"]
  .flatMap((parent) => [parent, ...readdirSync(join(root, parent)).map((name) => join(parent, name))])
  .filter((folder) => existsSync(join(root, folder, "package.json")))
  .map((folder) => {
    const manifest = readManifest(join(root, folder));
    return { id: manifest.name.replace("@mikcar/", ""), folder, manifest };
  });

export const publishable: readonly Package[] = packages.filter(({ manifest }) => manifest.private !== true);

/** Those with a program, each of which is an image too. */
export const programs: readonly Package[] = publishable.filter(({ manifest }) => manifest.bin !== undefined);

/** A package and those of ours that it depends on, directly or not. */
export function withOurs(id: string): readonly Package[] {
  const found = new Map<string, Package>();
  const visit = (name: string): void => {
    const own = publishable.find(({ manifest }) => manifest.name === name);
    if (own === undefined || found.has(name)) return;
    found.set(name, own);
    for (const dependency of Object.keys(own.manifest.dependencies ?? {})) visit(dependency);
  };
  visit(`@mikcar/${id}`);
  return [...found.values()];
}

/** A package with ours below it and what they need, and what only the rest of ours needs: that must not come along. */
export function foreignDependencies(id: string): { readonly needed: Set<string>; readonly uninvited: Set<string> } {
  const ours = withOurs(id);
  const needed = new Set(ours.flatMap(({ manifest }) => [manifest.name, ...Object.keys(manifest.dependencies ?? {})]));
  const all = publishable.flatMap(({ manifest }) =>
    Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
  );
  return { needed, uninvited: new Set(all.filter((name) => !needed.has(name))) };
}

/** @returns Whether the tests that take long are asked for: `npm run test:long`. */
export const isLong: boolean = process.env["MIKCAR_TEST_LONG"] === "1";
