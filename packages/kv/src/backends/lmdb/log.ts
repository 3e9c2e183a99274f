/**
 * The changes of all processes that share the file, for those of them that watch. While nobody does, a commit looks at
 * one mark and writes nothing; a process that watches renews the mark, so that a crashed one is soon forgotten.
 */

import type { Draft, Environment, Table } from "@mikcar/lmdb";
import type { Change } from "../../backend.ts";
import type { Glob } from "../../glob.ts";
import { mayHaveMissed, type Watch, Watches } from "../../watch.ts";
import { readNumber, writeNumber } from "./number.ts";

const POLL_MS = 50;
const RENEW_MS = 3000;
/** How long the mark holds. A process that did not run for so long may have missed changes. */
const MARK_MS = 10_000;
/** How many changes the log keeps. */
const MOST_CHANGES = 20_000;
const PORTION = 1000;
const UNTIL = Buffer.from("until");
const NEXT = Buffer.from("next");
const TYPES = ["set", "del", "expired"] as const;

export class ChangeLog {
  readonly #environment: Environment;
  /** Until when somebody watches, and the number of the next change. */
  readonly #marks: Table;
  /** By number: the type as one byte, and the key. */
  readonly #changes: Table;
  readonly #watches = new Watches();
  #starting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The number of the first change that is not read yet. */
  #next = 0;
  #markedUntil = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#marks = environment.table("watching");
    this.#changes = environment.table("changes");
  }

  /** Whether a commit is to append what it changes. */
  isRead(draft: Draft, now: number): boolean {
    const until = draft.get(this.#marks, UNTIL);
    return until !== undefined && readNumber(until) > now;
  }

  append(draft: Draft, changes: readonly Change[]): void {
    let number = this.#nextOf(draft);
    for (const { type, key } of changes) {
      const entry = Buffer.concat([Buffer.from([TYPES.indexOf(type)]), Buffer.from(key)]);
      draft.put(this.#changes, writeNumber(number), entry);
      if (number >= MOST_CHANGES) draft.remove(this.#changes, writeNumber(number - MOST_CHANGES));
      number++;
    }
    if (changes.length > 0) draft.put(this.#marks, NEXT, writeNumber(number));
  }

  /** Of this process and the others, from the moment it resolves. */
  async watch(glob: Glob, ending: AbortSignal): Promise<Watch> {
    // All who watched may leave while this one waits, and the timer with them.
    while (this.#timer === undefined) {
      await (this.#starting ??= this.#start().finally(() => (this.#starting = undefined)));
    }
    this.poll(); // what was before is not for the one who comes
    return this.#watches.open(glob, ending, () => this.#stopUnused());
  }

  /** Tells those who watch what has been committed since the last time. */
  poll(): void {
    if (this.#timer === undefined || this.#watches.isEmpty) return this.#skip();
    const now = Date.now();
    if (now >= this.#markedUntil) return this.#watches.end(mayHaveMissed("this process stood still for too long"));
    this.#environment.refresh();
    for (;;) {
      const entries = [...this.#changes.entries({ start: writeNumber(this.#next), limit: PORTION })];
      const first = entries[0];
      if (first === undefined) return;
      if (readNumber(first.key) !== this.#next) return this.#watches.end(mayHaveMissed("there were too many at once"));
      this.#next += entries.length;
      this.#watches.tell(
        entries.map(({ value }) => ({ type: TYPES[value[0] ?? 0] ?? "set", key: value.toString("utf8", 1) })),
      );
    }
  }

  /** Removes what nobody reads any more. */
  async clean(): Promise<void> {
    for (;;) {
      const until = this.#marks.get(UNTIL);
      const [first] = this.#changes.keys({ limit: 1 });
      if (first === undefined || until === undefined || readNumber(until) > Date.now()) return;
      await this.#environment.commit((draft) => {
        if (this.isRead(draft, Date.now())) return;
        for (const { key } of draft.entries(this.#changes, { limit: PORTION })) draft.remove(this.#changes, key);
      });
    }
  }

  end(): void {
    this.#watches.end();
    this.#stopUnused();
  }

  async #start(): Promise<void> {
    this.#next = await this.#renew();
    let renewAt = Date.now() + RENEW_MS;
    this.#timer = setInterval(() => {
      this.poll();
      if (Date.now() < renewAt) return;
      renewAt = Date.now() + RENEW_MS;
      this.#renew().catch(() => undefined); // a full disk, say: when the mark runs out, those who watch are told
    }, POLL_MS).unref();
  }

  /** @returns The number of the next change. */
  async #renew(): Promise<number> {
    const until = Date.now() + MARK_MS;
    const next = await this.#environment.commit((draft) => {
      const known = draft.get(this.#marks, UNTIL);
      if (known === undefined || readNumber(known) < until) draft.put(this.#marks, UNTIL, writeNumber(until));
      return this.#nextOf(draft);
    });
    this.#markedUntil = until;
    return next;
  }

  /** Nobody here is interested in what was so far. */
  #skip(): void {
    if (this.#timer === undefined) return;
    this.#environment.refresh();
    const next = this.#marks.get(NEXT);
    this.#next = next === undefined ? 0 : readNumber(next);
  }

  #stopUnused(): void {
    if (!this.#watches.isEmpty) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #nextOf(draft: Draft): number {
    const next = draft.get(this.#marks, NEXT);
    return next === undefined ? 0 : readNumber(next);
  }
}
