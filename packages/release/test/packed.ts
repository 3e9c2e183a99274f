/** Every package as it is published: its tarball. */

import { join } from "node:path";
import { succeed } from "./run.ts";
import { type Package, publishable } from "./workspace.ts";

/** Packs all of them into a folder, from what is built. */
export async function packAll(folder: string): Promise<void> {
  const chosen = publishable.flatMap(({ manifest }) => ["--filter", manifest.name]);
  await succeed("pnpm", [...chosen, "pack", "--pack-destination", folder]);
}

/** Where `packAll` has put a package. */
export function tarball(folder: string, { manifest }: Package): string {
  return join(folder, `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`);
}
