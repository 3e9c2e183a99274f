/** What the steps of one commit have changed so far, over what is committed. */

import type { Draft, Entry, Range, Table } from "./environment.ts";

/** Keys in latin1, which maps bytes one to one and keeps their order; undefined: removed. */
type Changes = Map<string, Buffer | undefined>;

export class MemoryDraft implements Draft {
  readonly #changes = new Map<Table, Changes>();

  get isEmpty(): boolean {
    return this.#changes.size === 0;
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    const changed = this.#changes.get(table);
    if (changed === undefined) return table.get(key);
    const name = key.toString("latin1");
    return changed.has(name) ? changed.get(name) : table.get(key);
  }

  has(table: Table, key: Buffer): boolean {
    const changed = this.#changes.get(table);
    if (changed === undefined) return table.has(key);
    const name = key.toString("latin1");
    return changed.has(name) ? changed.get(name) !== undefined : table.has(key);
  }

  put(table: Table, key: Buffer, value: Buffer): void {
    this.#changed(table).set(key.toString("latin1"), value);
  }

  remove(table: Table, key: Buffer): void {
    this.#changed(table).set(key.toString("latin1"), undefined);
  }

  /** Looks at every change of the table, of which a commit has few, and sorts those within the range. */
  entries(table: Table, range: Range): readonly Entry[] {
    const changed = this.#changes.get(table);
    if (changed === undefined) return [...table.entries(range)];
    const limit = range.limit ?? Infinity;
    const entries: Entry[] = [];
    const added = within(changed, range);
    let next = 0;
    const { limit: _limit, ...all } = range; // some of the committed ones may be gone
    for (const entry of limit > 0 ? table.entries(all) : []) {
      while (next < added.length && entries.length < limit && isBefore(added[next], entry))
        entries.push(added[next++] as Entry);
      if (entries.length >= limit) return entries;
      if (!changed.has(entry.key.toString("latin1"))) entries.push(entry);
      if (entries.length >= limit) return entries;
    }
    return entries.concat(added.slice(next, next + limit - entries.length));
  }

  /** Hands every change to `write`. */
  forEach(write: (table: Table, key: Buffer, value: Buffer | undefined) => void): void {
    for (const [table, changed] of this.#changes) {
      for (const [name, value] of changed) write(table, Buffer.from(name, "latin1"), value);
    }
  }

  #changed(table: Table): Changes {
    let changed = this.#changes.get(table);
    if (changed === undefined) this.#changes.set(table, (changed = new Map()));
    return changed;
  }
}

function isBefore(added: Entry | undefined, committed: Entry): boolean {
  return added !== undefined && added.key.compare(committed.key) <= 0;
}

function within(changed: Changes, { start, end }: Range): Entry[] {
  const from = start?.toString("latin1") ?? "";
  const to = end?.toString("latin1");
  const names: string[] = [];
  for (const [name, value] of changed) {
    if (value !== undefined && name >= from && (to === undefined || name < to)) names.push(name);
  }
  names.sort(byCode);
  return names.map((name) => ({ key: Buffer.from(name, "latin1"), value: changed.get(name) as Buffer })); // none is undefined
}

function byCode(a: string, b: string): number {
  return a < b ? -1 : 1;
}
