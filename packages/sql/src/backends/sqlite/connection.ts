/** The sidecar's side of one process that holds a connection. */

import { type MikcarError, unavailable } from "@mikcar/core";
import { Child, siblingModule } from "../../channel.ts";
import type { Job } from "./job.ts";
import type { Settings } from "./process/database.ts";
import type { Text } from "./text.ts";
import { translate } from "./translate.ts";
import { type Answer, Kind, readAnswers, type Request } from "./wire.ts";

export interface Events {
  /** An answer to a job, which is no longer pending. Undefined: the job was one that nobody knows any more. */
  onAnswer(answer: Answer, job: Job | undefined): void;
  /** The process asks whether it may commit: one job, or with 0 all that are pending. */
  onQuestion(id: number): void;
  /** What is at work, in answer to `askRunning`; 0: nothing. */
  onRunning(id: number): void;
  /** The database is open. */
  onUp(): void;
  /** The frame at hand is read. */
  onRead(): void;
  /** The process is gone; what was pending still is. */
  onEnd(): void;
}

const KEPT_STATEMENTS = 200;
/** Larger texts are sent again each time. In characters. */
const KEPT_TEXT_SIZE = 16 * 1024;

export class Connection {
  /** Sent and not answered. */
  readonly pending = new Map<number, Job>();
  /** The database is open. */
  isUp = false;
  isGone = false;
  /** It was told to end, so its end is no fault of what it was doing. */
  isKilled = false;
  /** Why the database could not be opened. */
  error: MikcarError | undefined;
  readonly #child: Child;
  readonly #events: Events;
  readonly #slots = new Map<Text, { readonly slot: number; frame: number }>();
  #frame = 0;
  #isEnding = false;

  /** Starts the process; what is sent meanwhile waits for it. */
  constructor(settings: Settings, events: Events) {
    this.#events = events;
    this.#child = new Child(siblingModule("process/main", import.meta.url), (frame) => this.#read(frame), {
      args: [JSON.stringify(settings)],
      execArgv: ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=2"],
      onWatch: (id) => this.#events.onRunning(id),
    });
    this.#child.ref(false); // what is pending keeps the sidecar alive by its timer
    void this.#child.ended.then(() => {
      this.isGone = true;
      this.#events.onEnd();
    });
  }

  /** Sends the statements of jobs, which are pending then. */
  run(kind: "read" | "group" | "batch" | "alone" | "stream" | "step", jobs: readonly Job[], isFirst = false): void {
    this.#frame += 1;
    const definitions: string[] = [];
    const runs: string[] = [];
    let spare = KEPT_STATEMENTS;
    for (const job of jobs) {
      this.pending.set(job.id, job);
      for (const { text, params } of job.statements) {
        const slot = this.#slotOf(text, definitions) ?? spare++;
        if (slot >= KEPT_STATEMENTS) definitions.push(define(slot, text));
        runs.push(`[${job.id},${slot},${params},${job.flags},${job.maxRows},${job.maxBytes}]`);
      }
    }
    this.#child.send(`["${kind}",[${definitions.join()}],[${runs.join()}]${kind === "step" ? `,${isFirst}` : ""}]`);
  }

  /** @param job What the answer goes to, if there is one. */
  send(request: Request, job?: Job): void {
    if (job !== undefined) this.pending.set(job.id, job);
    this.#child.send(JSON.stringify(request));
  }

  askRunning(): void {
    this.#child.watch(0);
  }

  /** Ends the process if it is at work on just this job. */
  killIfRunning(job: Job): void {
    this.isKilled = true; // until it shows that it lives
    this.#child.watch(job.id);
  }

  kill(): void {
    this.isKilled = true;
    this.#isEnding = true;
    this.#child.kill();
  }

  get ended(): Promise<void> {
    return this.#child.ended;
  }

  #read(frame: string): void {
    this.isKilled = this.#isEnding;
    switch (frame[0]) {
      case Kind.answers:
        readAnswers(frame, 1, (answer) => {
          const job = this.pending.get(answer.id);
          this.pending.delete(answer.id);
          this.#events.onAnswer(answer, job);
        });
        break;
      case Kind.mayCommit:
        this.#events.onQuestion(Number(frame.slice(1)));
        break;
      case Kind.hello:
        this.isUp = true;
        this.#events.onUp();
        break;
      default: {
        const [code, message] = JSON.parse(frame.slice(1)) as [number, string]; // of the process's own writing
        const cause = translate({ id: 0, code, message, index: -1 });
        this.error = unavailable("the database file cannot be opened", { cause });
      }
    }
    this.#events.onRead();
  }

  /** @returns Undefined when the text gets no slot of its own. */
  #slotOf(text: Text, definitions: string[]): number | undefined {
    const known = this.#slots.get(text);
    if (known !== undefined && known.frame === this.#frame) return known.slot;
    if (known !== undefined) {
      known.frame = this.#frame;
      this.#slots.delete(text); // to the end, as the one used last
      this.#slots.set(text, known);
      return known.slot;
    }
    const slot = text.sql.length > KEPT_TEXT_SIZE ? undefined : this.#freeSlot();
    if (slot === undefined) return undefined;
    this.#slots.set(text, { slot, frame: this.#frame });
    definitions.push(define(slot, text));
    return slot;
  }

  /** The slot of the text that was not used for longest, unless it is used in this very frame. */
  #freeSlot(): number | undefined {
    if (this.#slots.size < KEPT_STATEMENTS) return this.#slots.size;
    for (const [text, { slot, frame }] of this.#slots) {
      if (frame === this.#frame) return undefined;
      this.#slots.delete(text);
      return slot;
    }
    return undefined;
  }
}

function define(slot: number, { sql, end, effect }: Text): string {
  return `[${slot},${JSON.stringify(sql)},${end},${effect}]`;
}
