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

  /** A connection; TLS and all that follows is left to nodemailer. @throws when there is none in time. */
  connect(): Promise<Socket> {
    const { host, port, timeoutMs } = this.#config;
    const socket = connect({ host, port });
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        socket.destroy();
        reject(Object.assign(new Error(`no connection within ${timeoutMs} ms`), { syscall: "connect" }));
      };
      const timer = setTimeout(giveUp, timeoutMs);
      const onError = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once("error", onError);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", onError);
        resolve(socket);
      });
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
