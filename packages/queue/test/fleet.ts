/** Sidecars as processes, which a test may kill. */

import { fileURLToPath } from "node:url";
import { type RunningProgram, startProgram } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

export class Fleet {
  readonly #programs: RunningProgram[] = [];
  readonly #url: string;

  /** @param url Of the backend that they share. */
  constructor(url: string) {
    this.#url = url;
  }

  readonly urls = (): readonly string[] => this.#programs.map(({ url }) => url);

  async start(): Promise<void> {
    this.#programs.push(await startProgram(BIN, { args: ["--port", "0"], env: { QUEUE_URL: this.#url } }));
  }

  /** Kills one that was picked blindly, and starts another in its place. */
  async replaceOne(): Promise<void> {
    const [program] = this.#programs.splice(Math.floor(Math.random() * this.#programs.length), 1);
    await program?.stop("SIGKILL");
    await this.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.splice(0).map((program) => program.stop("SIGKILL")));
  }
}
