import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Below those that systems give to outgoing connections (32768 and up on Linux, 49152 and up elsewhere): one of those
 * may be some other test's client by the time the server starts, or while it is down between two starts.
 */
const FIRST = 15_000;
const LAST = 32_767;

/** A TCP port of 127.0.0.1 that nobody listens on, and that no client is given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve, reject) => {
    server.once("listening", () => resolve(true));
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(false);
      else reject(error);
    });
    server.listen(port, "127.0.0.1");
  });
  if (isListening) await new Promise((resolve) => server.close(resolve));
  return isListening;
}
