/** A TCP proxy that can be gone, come back, or say nothing: for servers that are not the tests' own to stop. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export interface Proxy {
  readonly port: number;
  /** Cuts all connections and refuses new ones. */
  stop(): Promise<void>;
  /** On the same port. */
  start(): Promise<void>;
  /** Passes nothing on, or everything again. */
  freeze(isFrozen: boolean): void;
}

export async function startProxy(host: string, targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined); // both ends are cut together below
    socket.once("close", () => sockets.delete(socket));
  };
  const server: Server = createServer((near) => {
    const far = connect(targetPort, host);
    for (const socket of [near, far]) track(socket);
    near.pipe(far);
    far.pipe(near);
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    port,
    start: () => listen(port),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
    freeze: (isFrozen) => {
      for (const socket of sockets) {
        if (isFrozen) socket.pause();
        else socket.resume();
      }
    },
  };
}
