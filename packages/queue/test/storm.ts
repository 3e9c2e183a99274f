/**
 * Producers and consumers under load, who write down what they were told, while a test takes things away from under
 * them. Nothing that was confirmed may be missing, and nobody may get what another one holds or has settled.
 */

import { Agent } from "node:http";
import { type Answer, ask, until } from "@mikcar/devkit";

export interface StormOptions {
  /** Where sidecars listen now. */
  readonly urls: () => readonly string[];
  readonly queue: string;
  /** A lease ends with the sidecar that gave it, so that others may get the message earlier. */
  readonly leasesEndEarly?: boolean;
}

const VISIBILITY_S = 2;

export class Storm {
  /** Numbers whose push was answered with 200. */
  readonly confirmed = new Set<number>();
  /** Numbers that somebody has for good. */
  readonly settled = new Set<number>();
  /** Numbers whose acknowledgement nobody answered: it may have come through or not. */
  readonly uncertain = new Set<number>();
  /** What must not happen, in words. */
  readonly faults: string[] = [];
  /** Settled numbers that came again. */
  readonly repeated: number[] = [];
  refusals = 0;
  readonly #options: StormOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #work: Promise<void>[] = [];
  /** Number to the time until which somebody surely holds it. */
  readonly #held = new Map<number, number>();
  #next = 0;
  #isProducing = true;
  #isConsuming = true;

  constructor(options: StormOptions) {
    this.#options = options;
    for (let count = 0; count < 6; count++) this.#work.push(this.#produce());
    for (let count = 0; count < 4; count++) this.#work.push(this.#popFinally());
    for (let count = 0; count < 4; count++) this.#work.push(this.#lease());
  }

  /** Resolves when so many more are settled: a moment that nobody can foresee. */
  async progress(count: number): Promise<void> {
    const goal = this.settled.size + count;
    await until(`${count} more messages are settled`, () => this.settled.size >= goal, 60_000);
  }

  /** Ends the load, lets the consumers take what is left, and checks the count. */
  async finish(): Promise<void> {
    this.#isProducing = false;
    await until("every confirmed message was delivered", () => this.missing().length === 0, 90_000).catch(
      () => undefined,
    );
    this.#isConsuming = false;
    await Promise.all(this.#work);
    this.#agent.destroy();
    const missing = this.missing();
    if (missing.length > 0)
      this.faults.push(`${missing.length} confirmed messages are missing: ${missing.slice(0, 5)}`);
  }

  missing(): number[] {
    return [...this.confirmed].filter((number) => !this.settled.has(number) && !this.uncertain.has(number));
  }

  async #produce(): Promise<void> {
    while (this.#isProducing) {
      const number = this.#next++;
      const answer = await this.#call("POST", `/push/${this.#options.queue}`, String(number));
      if (answer?.status === 200) this.confirmed.add(number);
      // So that the consumers keep up, and the queue is empty now and then.
      if (this.confirmed.size - this.settled.size > 200) await until("they caught up", () => this.#hasRoom(), 90_000);
    }
  }

  #hasRoom(): boolean {
    return !this.#isProducing || this.confirmed.size - this.settled.size < 100;
  }

  async #popFinally(): Promise<void> {
    while (this.#isConsuming) {
      const answer = await this.#call("GET", `/pop/${this.#options.queue}?timeout=1`);
      const number: unknown = answer?.json.message?.payload;
      if (typeof number !== "number") continue;
      this.#receive(number);
      this.settled.add(number);
    }
  }

  async #lease(): Promise<void> {
    const { queue } = this.#options;
    while (this.#isConsuming) {
      const askedAt = performance.now();
      const answer = await this.#call("GET", `/pop/${queue}?timeout=1&ack=manual&visibility=${VISIBILITY_S}`);
      const message = answer?.json.message;
      if (typeof message?.payload !== "number") continue;
      this.#receive(message.payload);
      this.#held.set(message.payload, askedAt + VISIBILITY_S * 1000);
      const dice = Math.random();
      if (dice < 0.05) continue; // as a consumer that dies
      await this.#settle(message.payload, message.id, dice < 0.15 ? "nack" : "ack", answer?.url);
    }
  }

  async #settle(number: number, id: string, how: "ack" | "nack", url: string | undefined): Promise<void> {
    if (how === "nack") this.#held.delete(number); // others may have it before we hear of it
    const answer = await this.#call("POST", `/${how}/${this.#options.queue}/${encodeURIComponent(id)}`, undefined, url);
    if (how === "nack") return;
    if (answer?.status === 200) this.settled.add(number);
    else this.#held.delete(number);
    if (answer === undefined) this.uncertain.add(number);
  }

  #receive(number: number): void {
    if (this.settled.has(number)) this.repeated.push(number);
    const until = this.#held.get(number) ?? 0;
    if (until > performance.now() && !this.settled.has(number) && this.#options.leasesEndEarly !== true)
      this.faults.push(`${number} was handed out while another consumer held it`);
  }

  /** Undefined when nobody answered. */
  async #call(
    method: string,
    path: string,
    body?: string,
    at?: string,
  ): Promise<(Answer & { readonly url: string }) | undefined> {
    const urls = this.#options.urls();
    const url = at ?? urls[Math.floor(Math.random() * urls.length)];
    try {
      if (url === undefined) throw new Error("no sidecar is there");
      const answer = await ask(url, `/queue${path}`, {
        method,
        agent: this.#agent,
        ...(body === undefined ? {} : { body }),
      });
      if (answer.status >= 500) throw new Error(answer.text);
      return { ...answer, url };
    } catch {
      this.refusals++;
      await new Promise((resolve) => setTimeout(resolve, 10)); // not to turn in circles while nobody is there
      return undefined;
    }
  }
}
