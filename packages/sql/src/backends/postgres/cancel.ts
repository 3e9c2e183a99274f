import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { Connection, type PoolClient, type PoolConfig } from "pg";

/** What `pg` keeps of the key data that the server sent: the typings leave it out. */
interface Cancellable {
  readonly processID: number;
  readonly secretKey: number;
}

/** A connection before it is a client: what `pg` has and its typings leave out. */
interface RawConnection extends EventEmitter {
  readonly ssl: unknown;
  readonly stream: Socket;
  connect(path: string): void;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
}

/**
 * Asks the server to cancel what `client` runs, over a connection of its own; resolves when that is closed, or silent for
 * `timeoutMs`. It may come too late and hit the next statement of the connection, so the client must not be used for
 * another one.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export function cancelStatement(
  client: PoolClient,
  { host = "localhost", port = 5432, ssl }: PoolConfig,
  timeoutMs: number,
): Promise<void> {
  const { processID, secretKey } = client as unknown as Cancellable;
  return new Promise((resolve) => {
    const options = ssl === undefined || ssl === false ? {} : { ssl };
    const connection = new Connection(options) as EventEmitter as RawConnection;
    const cancel = (): void => connection.cancel(processID, secretKey);
    connection.on("connect", () => (connection.ssl === false ? cancel() : connection.requestSsl()));
    connection.on("sslconnect", cancel);
    connection.on("error", () => resolve()); // the statement then ends by its own time limit
    connection.on("end", () => resolve());
    connection.stream.setTimeout(timeoutMs, () => connection.stream.destroy());
    if (host.startsWith("/")) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}
