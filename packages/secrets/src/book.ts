/** Secrets with their versions as plain data in the order of their names: what memory and the encrypted file keep. */

import BTree from "sorted-btree";
import type { Entry, Labels, Page, Secret, Version } from "./backend.ts";
import { folderOf } from "./name.ts";

/** How many versions of a secret are kept, as Vault does by default. */
export const KEPT_VERSIONS = 10;

/** Times are milliseconds since 1970. Never changed, only replaced. */
interface Kept {
  readonly createdAt: number;
  readonly labels: Labels;
  /** The newest first, at least one. */
  readonly versions: readonly [KeptVersion, ...KeptVersion[]];
}

interface KeptVersion {
  readonly number: number;
  readonly createdAt: number;
  readonly value: string;
}

/** All there is, as JSON takes it. */
export type Pages = readonly (readonly [name: string, kept: Kept])[];

export class Book {
  readonly #secrets: BTree.default<string, Kept>;

  private constructor(secrets: BTree.default<string, Kept>) {
    this.#secrets = secrets;
  }

  /** @param pages In the order of their names, as `pages()` gives them. */
  static of(pages: Pages): Book {
    return new Book(new BTree.default<string, Kept>([...pages] as [string, Kept][], compare)); // it only reads them
  }

  pages(): Pages {
    return this.#secrets.toArray();
  }

  /** Shares what neither changes, so it costs little. */
  clone(): Book {
    return new Book(this.#secrets.clone());
  }

  read(name: string, version?: string): Secret | undefined {
    const kept = this.#secrets.get(name);
    const found =
      version === undefined ? kept?.versions[0] : kept?.versions.find(({ number }) => String(number) === version);
    if (kept === undefined || found === undefined) return undefined;
    return { ...entry(name, kept, found), value: found.value, labels: kept.labels };
  }

  create(name: string, value: string, labels: Labels): boolean {
    const createdAt = Date.now();
    return this.#secrets.set(name, { createdAt, labels, versions: [{ number: 1, createdAt, value }] }, false);
  }

  update(name: string, value: string, labels: Labels | undefined): boolean {
    const kept = this.#secrets.get(name);
    if (kept === undefined) return false;
    const newest = { number: kept.versions[0].number + 1, createdAt: Date.now(), value };
    const versions = [newest, ...kept.versions.slice(0, KEPT_VERSIONS - 1)] as const;
    this.#secrets.set(name, { createdAt: kept.createdAt, labels: labels ?? kept.labels, versions });
    return true;
  }

  remove(name: string): boolean {
    return this.#secrets.delete(name);
  }

  exists(name: string): boolean {
    return this.#secrets.has(name);
  }

  list(prefix: string, { after = "", limit = Infinity }: Page): Entry[] {
    const folder = folderOf(prefix);
    const found: Entry[] = [];
    if (limit === 0) return found;
    this.#secrets.forRange(after < folder ? folder : after, LAST, true, (name, kept) => {
      if (!name.startsWith(folder)) return { break: true };
      if (name !== after) found.push(entry(name, kept, kept.versions[0]));
      return found.length < limit ? undefined : { break: true };
    });
    return found;
  }

  versions(name: string): Version[] | undefined {
    return this.#secrets.get(name)?.versions.map(({ number, createdAt }) => ({
      version: String(number),
      createdAt: new Date(createdAt),
    }));
  }
}

/** Above every name, as those are ASCII. */
const LAST = "\u{7f}";

function entry(name: string, { createdAt }: Kept, version: KeptVersion): Entry {
  return {
    name,
    version: String(version.number),
    createdAt: new Date(createdAt),
    updatedAt: new Date(version.createdAt),
  };
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
