/** Many who push and one who takes, on one backend, whatever happens to its connections. */

import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@mikcar/devkit";
import type { QueueBackend } from "../../src/backend.ts";
import { PLAIN, queueSource } from "./foreigner.ts";

/** Not to turn in circles while the broker is away. */
const PAUSE_MS = 5;

export class Load {
  readonly confirmed = new Set<string>();
  /** Ids in the order in which they were acknowledged. */
  readonly settled: string[] = [];
  readonly #queue: QueueBackend;
  readonly #name: string;
  readonly #work: Promise<void>[];
  #isOver = false;

  constructor(queue: QueueBackend, name: string) {
    this.#queue = queue;
    this.#name = name;
    this.#work = [...Array.from({ length: 20 }, () => this.#produce()), this.#consume()];
  }

  /** Resolves when everything that was confirmed is settled, or cannot be. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
    const isEmpty = (): Promise<boolean> =>
      this.#queue.count(queueSource(this.#name)).then(
        ({ waiting }) => waiting === 0,
        () => false,
      );
    await until("the queue is empty", isEmpty);
  }

  async #produce(): Promise<void> {
    while (!this.#isOver) {
      const ids = await this.#queue.push(this.#name, ["1", "2"], PLAIN).catch(() => []);
      for (const id of ids) this.confirmed.add(id);
      if (ids.length === 0) await sleep(PAUSE_MS);
    }
  }

  async #consume(): Promise<void> {
    const source = queueSource(this.#name);
    for (;;) {
      const taken = await this.#queue.take(source, 50, 30_000).catch(() => undefined);
      if (taken?.messages.length === 0 && this.#isOver) return;
      const ids = taken?.messages.map(({ id }) => id) ?? [];
      await this.#queue.ack(source, ids);
      this.settled.push(...ids);
      if (ids.length === 0) await sleep(PAUSE_MS);
    }
  }
}
