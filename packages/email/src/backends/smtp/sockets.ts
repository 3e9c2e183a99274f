/** The connections beneath the sessions. Those that nobody uses do not keep the process alive. */

import { connect, type Socket } from "node:net";
import type { SmtpConfig } from "./url.ts";

export class Sockets {
  readonly #config: SmtpConfig;
  readonly #open = new Set<Socket>();
  #users = 0;

  constructor(config: SmtpConfig) {
    this.#config = config;
  }

  /** A connection, or why there is none in time. TLS and all that follows is left to nodemailer. */
  connect(done: (error: Error | null, socket?: Socket) => void): void {
    const { host, port, timeoutMs } = this.#config;
    const socket = connect({ host, port });
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
    const onError = (error: Error): void => {
      clearTimeout(timer);
      done(Object.assign(error, { syscall: "connect" }));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      done(null, socket);
    });
  }

  /** The process lives on for as long as the work goes on. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#users++ === 0) for (const socket of this.#open) socket.ref();
    try {
      return await work();
    } finally {
      if (--this.#users === 0) for (const socket of this.#open) socket.unref();
    }
  }
}
