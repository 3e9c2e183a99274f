/** An HTTP server that writes down what it is asked, and answers as it is told. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Recorder {
  readonly url: string;
  /** Method, path, body. */
  readonly requests: { readonly line: string; readonly body: string }[];
  close(): Promise<void>;
}

/** @param answer To a `GET /path`. */
export async function startRecorder(
  answer: (line: string) => readonly [status: number, body: object],
): Promise<Recorder> {
  const requests: { line: string; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("end", () => {
      const line = `${request.method} ${request.url}`;
      requests.push({ line, body: Buffer.concat(chunks).toString() });
      const [status, body] = answer(line);
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
